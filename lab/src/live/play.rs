//! Scenarios on the stage: they are set up and played, action by action.

use std::time::{Duration, Instant};

use serde_json::Value;
use tripoll::Context;

use super::clients;
use super::control::{Command, Query};
use super::scenarios::script::Todo;
use super::scenarios::{self, Action, Scenario};
use super::stage::{HasStage, Stage, perform};

/// How often it is looked whether the next action can be done.
const TICK: Duration = Duration::from_millis(4);

/// Does what a page asks for. While a scenario is set up, what moves the subject waits until that is done.
///
/// # Errors
///
/// A sentence that says why it cannot be done.
pub(super) fn command(
    query: &Query,
    body: &[u8],
    cx: &mut Context<impl HasStage>,
) -> Result<(), String> {
    let command = Command::parse(query)?;
    match command {
        Command::Scenario(name) => return begin(scenarios::find(&name)?, cx),
        Command::Play => return play(cx),
        _ => {}
    }
    let stage: &mut Stage = cx.state.as_mut();
    let is_end = matches!(command, Command::Handler(_) | Command::Restart | Command::Pause);
    if stage.script.is_active() && !is_end {
        stage.script.add(Todo::Do(command, body.to_vec()));
        return Ok(());
    }
    perform(command, body, cx)
}

/// Begins a scenario: its subject, and its setup.
pub(super) fn begin(
    scenario: &'static Scenario,
    cx: &mut Context<impl HasStage>,
) -> Result<(), String> {
    clients::forget_all(cx);
    let stage: &mut Stage = cx.state.as_mut();
    let was_active = stage.script.is_active();
    stage.begin_scenario(scenario)?;
    start(&scenario.setup, was_active, cx);
    Ok(())
}

/// Plays the steps of the running scenario.
fn play(cx: &mut Context<impl HasStage>) -> Result<(), String> {
    let stage: &mut Stage = cx.state.as_mut();
    let scenario = stage.scenario.ok_or("No scenario is running.")?;
    if stage.script.is_active() {
        todo(&scenario.play).into_iter().for_each(|action| stage.script.add(action));
        return Ok(());
    }
    start(&scenario.play, false, cx);
    Ok(())
}

fn todo(actions: &[Action]) -> Vec<Todo> {
    let known = |action| Todo::of(action).inspect_err(|sentence| log::warn!("{sentence}")).ok();
    actions.iter().filter_map(known).collect()
}

/// Begins a script. One that was active has its timer already.
fn start(actions: &[Action], was_active: bool, cx: &mut Context<impl HasStage>) {
    let stage: &mut Stage = cx.state.as_mut();
    stage.script.load(todo(actions));
    if !was_active {
        cx.set_timer(Instant::now(), |cx| advance(cx));
    }
}

/// Does the next action, if the one before it has had its effect.
fn advance(cx: &mut Context<impl HasStage>) {
    let are_clients_still = clients::are_still(cx.state.as_mut());
    let stage: &mut Stage = cx.state.as_mut();
    let is_still = stage.subject.gate.is_still();
    let next = stage.script.next(is_still, are_clients_still);
    if let Some((command, body)) = next
        && let Err(sentence) = perform(command.clone(), &body, cx)
    {
        log::warn!("{command:?}: {sentence}");
    }
    let stage: &mut Stage = cx.state.as_mut();
    if stage.script.is_active() {
        cx.set_timer(Instant::now() + TICK, |cx| advance(cx));
    } else {
        stage.tell("script", Value::Null);
    }
}
