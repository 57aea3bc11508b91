//! The stage: what the observer controls. The subject, its settings, and the lab's clients.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::Value;
use tripoll::{Backend, Context};

use super::clients::{self, HasClients};
use super::control::{Change, Command, Until};
use super::directory::Directory;
use super::handlers::{self, Handler};
use super::hub::Hub;
use super::limit;
use super::record::{Both, Control, Hello, Place, Record, Text, VERSION};
use super::settings::Settings;
use super::subject::Running;

/// What the observer controls.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) hub: Arc<Hub>,
    pub(super) directory: Arc<Directory>,
    listener: TcpListener,
    pub(super) address: SocketAddr,
    settings: Settings,
    scenario: Option<Text>,
    pub(super) subject: Running,
    /// Descriptors that are open for nothing.
    burnt: Vec<File>,
}

impl Stage {
    /// Sets the stage, with a subject that stands at the gate.
    pub(super) fn set(
        hub: Arc<Hub>,
        handler: &'static Handler,
        settings: Settings,
    ) -> io::Result<Stage> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let directory = Arc::new(Directory::default());
        let subject = Running::begin(handler, listener.try_clone()?, settings, &hub, &directory)?;
        let stage = Stage {
            hub,
            directory,
            listener,
            address,
            settings,
            scenario: None,
            subject,
            burnt: Vec::new(),
        };
        stage.say_hello();
        Ok(stage)
    }

    /// Publishes the settings.
    pub(super) fn say_hello(&self) {
        self.hub.publish(&Record::Hello(Box::new(self.hello())));
    }

    fn hello(&self) -> Hello {
        let names = |all: &[Backend]| all.iter().map(|it| Text::Borrowed(it.name())).collect();
        let system = rustix::system::uname();
        Hello {
            v: VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: system.release().to_string_lossy().into_owned().into(),
            arch: system.machine().to_string_lossy().into_owned().into(),
            backend: self.settings.backend.name().into(),
            trigger: self.settings.trigger.name().into(),
            effective: self.effective(),
            handler: self.subject.handler.name.into(),
            gate: self.subject.gate.place(),
            scenario: self.scenario.clone(),
            subject: self.address.to_string().into(),
            limit: self.settings.limit.unwrap_or_else(limit::usual),
            budget: self.settings.budget,
            watermark: self.settings.watermark,
            slow: self.settings.slow,
            timeout: self.settings.timeout,
            probe_ns: 0,
            backends: names(Backend::ALL),
            handlers: handlers::ALL.iter().map(|handler| handler.name.into()).collect(),
            scenarios: Vec::new(),
            code: handlers::ALL.iter().map(|it| (it.name.into(), it.code())).collect(),
        }
    }

    /// Returns the trigger in effect.
    fn effective(&self) -> Text {
        let Ok(selector) = self.settings.backend.selector() else { return Text::default() };
        self.settings.effective(selector.caps().triggers).name().into()
    }

    /// Notes a setting that the subject will have, also after another handler has begun.
    fn note(&mut self, change: &Change) {
        match *change {
            Change::Backend(backend) => self.settings.backend = backend,
            Change::Trigger(trigger) => self.settings.trigger = trigger,
            Change::Budget(budget) => self.settings.budget = budget,
            Change::Watermark(bytes) => self.settings.watermark = bytes,
            Change::Slow(ms) => self.settings.slow = ms,
            Change::Timeout(ms) => self.settings.timeout = ms,
            Change::Limit(most) => self.settings.limit = most,
            Change::Predict(_) => {}
        }
    }

    /// Begins a handler anew. The lab's clients are closed.
    fn begin(&mut self, handler: &'static Handler) -> io::Result<()> {
        self.subject.end();
        if let Some(trigger) = handler.trigger.filter(|_| handler.name != self.subject.handler.name)
        {
            self.settings.trigger = trigger;
        }
        let listener = self.listener.try_clone()?;
        self.subject =
            Running::begin(handler, listener, self.settings, &self.hub, &self.directory)?;
        self.say_hello();
        Ok(())
    }

    /// Tells the pages that something has changed.
    pub(super) fn tell(&self, op: &'static str, value: Value) {
        let gate = self.subject.gate.place();
        let control = Control { op: op.into(), value, gate, ..Control::default() };
        self.hub.publish(&Record::Control(control));
    }

    fn tell_gate(&self, place: Place) {
        let value = serde_json::to_value(place).unwrap_or_default();
        let control = Control {
            op: "gate".into(),
            value,
            gate: place,
            sentence: Both::default(),
            ..Control::default()
        };
        self.hub.publish(&Record::Control(control));
    }
}

/// The state of a reactor that has a stage.
pub(super) trait HasStage: AsMut<Stage> + HasClients {}

impl<S: AsMut<Stage> + HasClients> HasStage for S {}

/// Does what a page asks for.
///
/// # Errors
///
/// A sentence that says why it cannot be done.
pub(super) fn perform(
    command: Command,
    body: &[u8],
    cx: &mut Context<impl HasStage>,
) -> Result<(), String> {
    let stage: &mut Stage = cx.state.as_mut();
    let gate = Arc::clone(&stage.subject.gate);
    let is_dead = gate.place() == Place::Dead;
    let needs_life = matches!(
        command,
        Command::Run(_) | Command::Step(_) | Command::Reveal | Command::Change(_)
    );
    if is_dead && needs_life {
        return Err("The subject has ended with an error: choose a handler to begin again.".into());
    }
    match command {
        Command::Run(until) => {
            if let Some(Until::Turn(0)) = until {
                return Err("Turns are counted from 1.".into());
            }
            gate.run(until);
            stage.tell_gate(Place::Running);
        }
        Command::Pause => gate.pause(),
        Command::Step(turns) => gate.step(turns),
        Command::Reveal => gate.reveal(),
        Command::Change(change) => {
            stage.note(&change);
            gate.change(change);
        }
        Command::Handler(name) => {
            let handler = handlers::find(&name).ok_or_else(|| {
                let names: Vec<_> = handlers::ALL.iter().map(|handler| handler.name).collect();
                format!("There is no handler {name}; there are {}.", names.join(", "))
            })?;
            stage.begin(handler).map_err(|error| format!("The handler cannot begin: {error}."))?;
            clients::connect_again(cx);
        }
        Command::Restart => {
            clients::forget_all(cx);
            let stage: &mut Stage = cx.state.as_mut();
            let handler = stage.subject.handler;
            stage.begin(handler).map_err(|error| format!("The handler cannot begin: {error}."))?;
        }
        Command::Scenario(name) => return Err(format!("There is no scenario {name}.")),
        Command::Spawn(count) => clients::spawn(count, cx)?,
        Command::Send(id) => clients::send(id, body, cx)?,
        Command::Fault(id, fault) => clients::fault(id, fault, cx)?,
        Command::Burn(count) => {
            stage.burnt.truncate(count as usize);
            while (stage.burnt.len() as u64) < count {
                let file = File::open("/dev/null");
                stage.burnt.push(file.map_err(|error| format!("No more can be opened: {error}."))?);
            }
            stage.tell("burn", count.into());
        }
    }
    Ok(())
}
