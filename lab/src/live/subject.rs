//! The subject: a server on a real port, in a thread of its own, which the gate stops and the recorder
//! watches.
//!
//! There are two kinds. A *reactor* subject runs its handler over [`Reactor`](tripoll::Reactor), which
//! keeps its promises: it remembers what is ready, drains what must be drained, and repairs what a naive
//! program gets wrong. So mistakes are shown by *bare* subjects, which wait with a selector and do the rest
//! by hand, as programs in books do. Both wait through [`Watched`](super::watched::Watched), and so have
//! the same records.
//!
//! | handler | kind | |
//! |---|---|---|
//! | `tutorial` | bare | the tutorials' server with `inputs`, `outputs`, `message_dict` and all its bugs |
//! | `correct` | reactor | the same server without them |
//! | `edge-one-read` | bare | edge-triggered, reads once: what is left is lost |
//! | `edge-drained` | bare | edge-triggered, reads until `EAGAIN` |
//! | `pool` | reactor | answers are made by a pool of threads |
//! | `broadcast` | reactor | each message goes to all clients |
//! | `write-always` | bare | asks for "writable" all the time |
//! | `close-first` | bare | closes a descriptor before it removes it |
//! | `file` | bare | watches a file |

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::control::{Change, Until};
use super::directory::Directory;
use super::gate::{Gate, Order};
use super::handlers::{self, Handler};
use super::hub::Hub;
use super::program::{Beginning, Subject};
use super::record::{Both, Control, Place, Record, Text, Turn};
use super::recorder::{self, Recorder};
use super::settings::Settings;
use super::watched::{new_nudge, nudge};

/// A subject that runs in its thread.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) gate: Arc<Gate>,
    pub(super) handler: &'static Handler,
    directory: Arc<Directory>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Begins a subject in a new thread. It stands at the gate.
    pub(super) fn begin(
        handler: &'static Handler,
        listener: TcpListener,
        settings: Settings,
        hub: &Arc<Hub>,
        directory: &Arc<Directory>,
    ) -> io::Result<Running> {
        let gate = Arc::new(Gate::new());
        let nudge_fd = new_nudge()?;
        let nudged = Arc::clone(&nudge_fd);
        gate.set_nudge(move || nudge(&nudged));
        let beginning = Beginning { listener, gate: Arc::clone(&gate), nudge: nudge_fd, settings };
        let (hub, directory) = (Arc::clone(hub), Arc::clone(directory));
        let recorder_parts = (Arc::clone(&hub), Arc::clone(&gate), Arc::clone(&directory));
        let thread = thread::Builder::new().name("subject".into()).spawn(move || {
            let (for_recorder, gate, directory) = recorder_parts;
            recorder::install(Recorder::new(for_recorder, gate, directory, handler.name));
            run(handler, beginning, &hub);
        })?;
        Ok(Running { gate, handler, directory, thread: Some(thread) })
    }

    /// Ends it. A call in which it blocks is ended by a shutdown of its sockets. One that computes is
    /// waited for only shortly: its thread ends by itself.
    pub(super) fn end(&mut self) {
        self.gate.end();
        let Some(thread) = self.thread.take() else { return };
        let began = Instant::now();
        while !thread.is_finished() && began.elapsed() < PATIENCE {
            if began.elapsed() > PATIENCE / 10 {
                self.directory.shut_down();
            }
            thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join(); // a panic of the subject is in the log
        }
    }
}

/// How long the end of a subject is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// The subject's thread.
fn run(handler: &'static Handler, beginning: Beginning, hub: &Hub) {
    let gate = Arc::clone(&beginning.gate);
    let mut settings = beginning.settings;
    let made = handlers::begin(handler, beginning);
    let result = made.and_then(|mut subject| turns(&mut *subject, &gate, &mut settings, hub));
    if let Err(error) = result {
        log::warn!("the subject has ended: {error}");
        gate.died();
        gate.wait_for_end();
    }
}

fn turns(
    subject: &mut dyn Subject,
    gate: &Gate,
    settings: &mut Settings,
    hub: &Hub,
) -> io::Result<()> {
    recorder::with(|recorder| recorder.first_views(subject.views()));
    loop {
        match gate.before_wait() {
            Order::End => return Ok(()),
            Order::Look => recorder::with(|recorder| recorder.look(Place::Before)),
            Order::Change(change) => {
                let control = apply(change, subject, settings);
                if let Some(control) = control {
                    hub.publish(&Record::Control(Control { gate: gate.place(), ..control }));
                }
            }
            Order::Turn => one_turn(subject, gate, settings)?,
        }
    }
}

/// Makes one turn and its record.
fn one_turn(subject: &mut dyn Subject, gate: &Gate, settings: &Settings) -> io::Result<()> {
    recorder::with(Recorder::begin_turn);
    let result = catch_unwind(AssertUnwindSafe(|| subject.turn(settings)))
        .unwrap_or_else(|_| Err(io::Error::other("the handler panicked")));
    let (views, lists) = (subject.views(), subject.lists());
    let until = gate.until();
    recorder::with(|recorder| {
        if result.is_err() {
            recorder.require_full();
        }
        let Some(mut turn) = recorder.end_turn(views, lists) else { return };
        if let Err(error) = &result {
            turn.died = Some(error.to_string());
            gate.died();
            recorder.publish(turn, Place::Dead);
            return;
        }
        let is_reached = until.is_some_and(|until| has_reached(until, &turn));
        if is_reached {
            gate.reached();
        }
        match gate.is_open() {
            true if until.is_some() && !recorder.is_paced() => recorder.skip(turn),
            true => recorder.publish(turn, Place::Running),
            false => recorder.publish(turn, Place::Before),
        }
    });
    result
}

/// Returns whether a turn has what the subject was to run until.
fn has_reached(until: Until, turn: &Turn) -> bool {
    match until {
        Until::Ghost => !turn.ghosts.is_empty(),
        Until::Write => turn.calls.iter().any(|call| call.what == "write" && call.result > Some(0)),
        Until::End => turn.calls.iter().any(|call| call.what == "read" && call.result == Some(0)),
        Until::Lint => !turn.lints.is_empty(),
        Until::Turn(number) => turn.t >= number,
    }
}

/// Makes a change. Returns what the pages are told.
fn apply(change: Change, subject: &mut dyn Subject, settings: &mut Settings) -> Option<Control> {
    let before = *settings;
    let (op, value) = match change {
        Change::Predict(fds) => {
            recorder::with(|recorder| recorder.predict(fds));
            return None;
        }
        Change::Backend(backend) => {
            settings.backend = backend;
            ("backend", backend.name().into())
        }
        Change::Trigger(trigger) => {
            settings.trigger = trigger;
            ("trigger", trigger.name().into())
        }
        Change::Budget(budget) => {
            settings.budget = budget;
            ("budget", budget.into())
        }
        Change::Watermark(bytes) => {
            settings.watermark = bytes;
            ("watermark", bytes.into())
        }
        Change::Slow(ms) => {
            settings.slow = ms;
            ("slow", ms.into())
        }
        Change::Timeout(ms) => {
            settings.timeout = ms;
            ("timeout", ms.into())
        }
        Change::Limit(most) => {
            settings.limit = most;
            ("limit", most.into())
        }
    };
    let mut control = Control { op: Text::Borrowed(op), value, ..Control::default() };
    let is_switch = (before.backend, before.trigger) != (settings.backend, settings.trigger);
    if is_switch {
        let saved = recorder::with(|recorder| recorder.save());
        if let Err(error) = subject.switch(settings) {
            if let Some(saved) = saved {
                recorder::with(|recorder| recorder.restore(saved));
            }
            *settings = before;
            control.value = serde_json::Value::Null;
            control.sentence = Both {
                en: format!("This cannot be changed: {error}").into(),
                zh: format!("无法更改: {error}").into(),
            };
            return Some(control);
        }
        control.re_reported = recorder::with(|recorder| recorder.reported_by_new_selector());
        control.sentence = switched(&control.re_reported, &subject.effective());
    }
    Some(control)
}

/// Says what a switch re-reports.
fn switched(fds: &[i32], effective: &str) -> Both {
    let list = fds.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    let (en, zh) = if fds.is_empty() {
        (
            "Nothing is ready, so the switch reports nothing again.".into(),
            "没有就绪的描述符, 所以切换不会重新报告任何描述符。".into(),
        )
    } else {
        (
            format!(
                "The switch adds all sources again, so the next wait reports what is ready: {list}. \
                  A lost edge is repaired by that."
            ),
            format!(
                "切换会重新添加所有事件源, 所以下一次等待会报告已就绪的描述符: {list}。丢失的边缘因此被修复。"
            ),
        )
    };
    let en = format!("{en} The trigger in effect is {effective}.");
    let zh = format!("{zh} 实际的触发方式是 {effective}。");
    Both { en: en.into(), zh: zh.into() }
}
