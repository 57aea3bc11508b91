//! A running lab.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tripoll::reactor::ReactorHandle;
use tripoll::{Backend, Reactor, Trigger};

use super::control::Query;
use super::handlers;
use super::hub::Hub;
use super::observer::{self, Observer};
use super::play;
use super::record::{Bye, Record};
use super::scenarios;
use super::settings::Settings;
use super::stage::Stage;

/// What a lab begins with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the page is served. It must be an address of this machine alone.
    pub listen: SocketAddr,
    /// The system call that waits.
    pub backend: Backend,
    /// The trigger. `None`: that of the handler, or level.
    pub trigger: Option<Trigger>,
    /// The handler.
    pub handler: String,
    /// The scenario.
    pub scenario: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            backend: Backend::default(),
            trigger: None,
            handler: handlers::FIRST.to_string(),
            scenario: None,
        }
    }
}

/// A running lab. It ends when it is dropped.
pub struct Lab {
    url: String,
    subject: SocketAddr,
    hub: Arc<Hub>,
    handle: ReactorHandle<Observer>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Lab {
    /// Begins a lab. Its subject stands at the gate.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address that other machines can reach, and for a handler that does not exist.
    /// Those of the system when a socket or a thread cannot be made.
    pub fn begin(options: &Options) -> io::Result<Lab> {
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
        if !options.listen.ip().is_loopback() {
            let message =
                format!("the lab listens on this machine alone, and not on {}", options.listen);
            return Err(invalid(message));
        }
        let handler = handlers::find(&options.handler).ok_or_else(|| {
            let names: Vec<_> = handlers::ALL.iter().map(|handler| handler.name).collect();
            invalid(format!("no handler {}; there are {}", options.handler, names.join(", ")))
        })?;
        let scenario = options.scenario.as_deref().map(scenarios::find).transpose();
        let scenario =
            scenario.map_err(|sentence| invalid(sentence.trim_end_matches('.').into()))?;
        let backend = options.backend;
        let trigger = options.trigger.or(handler.trigger).unwrap_or_default();
        let settings = Settings { backend, trigger, ..Settings::default() };
        let token = new_token()?;
        let listener = observer::bind(options.listen)?;
        let page: SocketAddr = listener.local_address().to_string().parse().map_err(|_| {
            invalid(format!("{} is no address of the Internet", listener.local_address()))
        })?;
        let url = format!("http://127.0.0.1:{}/?t={token}", page.port());
        let hub = Arc::new(Hub::new());
        let stage = Stage::set(Arc::clone(&hub), handler, settings)?;
        let subject = stage.address;
        let (begun, begins) = std::sync::mpsc::channel();
        let thread = thread::Builder::new().name("observer".into()).spawn(move || {
            let observer = Observer::new(token, page.port(), stage);
            let made = Reactor::builder().build_with(observer).and_then(|mut reactor| {
                observer::serve(listener, &mut reactor)?;
                if let Some(scenario) = scenario {
                    play::begin(scenario, &mut reactor.context()).map_err(io::Error::other)?;
                }
                Ok(reactor)
            });
            match made {
                Ok(mut reactor) => {
                    let _ = begun.send(Ok(reactor.handle())); // the other side waits for it
                    reactor.run()
                }
                Err(error) => {
                    let _ = begun.send(Err(error));
                    Ok(())
                }
            }
        })?;
        let ended = |_| io::Error::other("the observer has ended");
        let handle = begins.recv().map_err(ended)??;
        Ok(Lab { url, subject, hub, handle, thread: Some(thread) })
    }

    /// Returns the address of the page, with its token.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the address of the subject.
    pub fn subject(&self) -> SocketAddr {
        self.subject
    }

    /// Returns the records.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Does what a page asks for with `POST /control`.
    ///
    /// # Errors
    ///
    /// A sentence that says why it cannot be done.
    pub fn control(&self, query: &str, body: &[u8]) -> Result<(), String> {
        let (done, is_done) = std::sync::mpsc::channel();
        let (query, body) = (Query::parse(query), body.to_vec());
        let posted = self.handle.post(move |cx| {
            let _ = done.send(play::command(&query, &body, cx)); // the other side waits for it
        });
        let ended = "The observer has ended.";
        posted.map_err(|_| ended)?;
        is_done.recv().map_err(|_| ended)?
    }

    /// Ends the lab: its pages, its clients and its subject.
    ///
    /// # Errors
    ///
    /// That with which the observer has ended.
    pub fn end(mut self) -> io::Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.hub.publish(&Record::Bye(Bye {}));
        let _ = self.handle.shutdown(std::time::Duration::from_millis(200));
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the observer panicked")))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            log::warn!("the lab has ended: {error}");
        }
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("url", &self.url).field("subject", &self.subject).finish()
    }
}

/// Returns a new token of 128 bits.
fn new_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
