//! The stage: what the observer controls. The subject, its settings, and the lab's clients.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::Value;
use tripoll::{Backend, Context};

use super::clients::{self, HasClients};
use super::control::{Change, Command, Query, Until};
use super::directory::Directory;
use super::handlers::{self, Handler};
use super::hub::Hub;
use super::limit;
use super::record::{Both, Control, Hello, Place, Record, Text, VERSION};
use super::scenarios::script::Script;
use super::scenarios::{self, Scenario};
use super::settings::Settings;
use super::subject::Running;

/// The backlog of the subject's listener.
const BACKLOG: u32 = 128;

/// What the observer controls.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) hub: Arc<Hub>,
    pub(super) directory: Arc<Directory>,
    listener: TcpListener,
    pub(super) address: SocketAddr,
    settings: Settings,
    pub(super) scenario: Option<&'static Scenario>,
    pub(super) script: Script,
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
            script: Script::default(),
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
        let is_running = |scenario: &Scenario| self.scenario.is_some_and(|it| it.id == scenario.id);
        let title = |scenario: &Scenario| scenario.title(is_running(scenario));
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
            scenario: self.scenario.map(|scenario| scenario.id.as_str().into()),
            subject: self.address.to_string().into(),
            limit: self.settings.limit.unwrap_or_else(limit::usual),
            budget: self.settings.budget,
            watermark: self.settings.watermark,
            slow: self.settings.slow,
            timeout: self.settings.timeout,
            backends: names(Backend::ALL),
            handlers: handlers::ALL.iter().map(|handler| handler.name.into()).collect(),
            scenarios: scenarios::all().iter().map(title).collect(),
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
        self.raise_curtain(handler)
    }

    /// Begins the subject of a scenario.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with its settings, or with the system.
    pub(super) fn begin_scenario(&mut self, scenario: &'static Scenario) -> Result<(), String> {
        let handler = find_handler(&scenario.handler)?;
        self.subject.end();
        self.empty_backlog().map_err(|error| format!("The listener fails: {error}."))?;
        self.leave_scenario();
        self.settings.trigger = handler.trigger.unwrap_or_default();
        self.settings.backend = Backend::default();
        for setting in &scenario.settings {
            match Command::parse(&Query::parse(setting))? {
                Command::Change(change) => self.note(&change),
                _ => return Err(format!("{setting} is no setting.")),
            }
        }
        self.scenario = Some(scenario);
        self.raise_curtain(handler).map_err(|error| format!("The scenario cannot begin: {error}."))
    }

    /// Takes back what a scenario has set, except what waits and when it is told.
    fn leave_scenario(&mut self) {
        self.script = Script::default();
        let Settings { backend, trigger, .. } = self.settings;
        self.settings = Settings { backend, trigger, ..Settings::default() };
        self.scenario = None;
        self.burnt.clear();
        self.set_backlog(BACKLOG);
    }

    /// Sets the length of the listener's queue: `listen` can be called again.
    fn set_backlog(&self, length: u32) {
        let set = rustix::net::listen(&self.listener, length as i32);
        if let Err(error) = set {
            log::warn!("the backlog of the subject stays: {error}");
        }
    }

    /// Closes the connections that nobody has accepted.
    fn empty_backlog(&self) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        while self.listener.accept().is_ok() {}
        Ok(())
    }

    fn raise_curtain(&mut self, handler: &'static Handler) -> io::Result<()> {
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

/// Returns the handler called `name`.
fn find_handler(name: &str) -> Result<&'static Handler, String> {
    handlers::find(name).ok_or_else(|| {
        let names: Vec<_> = handlers::ALL.iter().map(|handler| handler.name).collect();
        format!("There is no handler {name}; there are {}.", names.join(", "))
    })
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
            let handler = find_handler(&name)?;
            if stage.scenario.is_some() && handler.name == stage.subject.handler.name && !is_dead {
                return Ok(()); // as in a link that a page has shared
            }
            stage.begin(handler).map_err(|error| format!("The handler cannot begin: {error}."))?;
            clients::connect_again(cx);
        }
        Command::Restart => {
            clients::forget_all(cx);
            let stage: &mut Stage = cx.state.as_mut();
            let handler = stage.subject.handler;
            stage.subject.end();
            stage.empty_backlog().map_err(|error| format!("The listener fails: {error}."))?;
            if stage.scenario.is_some() {
                stage.leave_scenario();
            }
            stage.begin(handler).map_err(|error| format!("The handler cannot begin: {error}."))?;
        }
        Command::Scenario(_) | Command::Play => return Err("A scenario is not begun here.".into()),
        Command::Spawn(count) => clients::spawn(count, cx)?,
        Command::SpawnNowhere => clients::spawn_nowhere(cx)?,
        Command::Backlog(length) => {
            stage.set_backlog(length);
            stage.tell("backlog", length.into());
        }
        Command::Send(id) => clients::send(id, body, cx)?,
        Command::Fault(id, fault) => clients::fault(id, fault, cx)?,
        Command::Burn(count) => {
            stage.burnt.truncate(count as usize);
            if count > 512 {
                limit::raise(); // it is 1,024 on many systems
            }
            while (stage.burnt.len() as u64) < count {
                let file = File::open("/dev/null");
                stage.burnt.push(file.map_err(|error| format!("No more can be opened: {error}."))?);
            }
            stage.tell("burn", count.into());
        }
    }
    Ok(())
}
