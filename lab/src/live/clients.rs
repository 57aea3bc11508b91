//! The lab's own clients: plain sockets in the observer's loop.
//!
//! A fault acts on them alone, or on the subject's end of their connections. Other clients of the subject
//! are not the lab's to break.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tripoll::reactor::Handler;
use tripoll::{Context, Interest, Next, Source, Token};

use super::calls::excerpt;
use super::control::{Fault, MOST_CLIENTS};
use super::directory::Directory;
use super::hub::Hub;
use super::record::{Client, ClientEvent, Record, Text};

/// The lab's clients.
#[derive(Debug)]
pub(super) struct Clients {
    hub: Arc<Hub>,
    directory: Arc<Directory>,
    /// The address of the subject.
    address: SocketAddr,
    all: BTreeMap<u32, Entry>,
    last: u32,
    /// Those whose state the pages do not know yet.
    changed: Vec<u32>,
    /// The duplicates of the subject's descriptors that are kept open.
    duplicates: Vec<OwnedFd>,
}

/// The state of a reactor that has the lab's clients.
pub(super) trait HasClients: AsMut<Clients> + 'static {}

impl<S: AsMut<Clients> + 'static> HasClients for S {}

impl Clients {
    /// Returns no clients yet, of the subject at `address`.
    pub(super) fn new(hub: Arc<Hub>, directory: Arc<Directory>, address: SocketAddr) -> Self {
        Clients {
            hub,
            directory,
            address,
            all: BTreeMap::new(),
            last: 0,
            changed: Vec::new(),
            duplicates: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    client: Client,
    open: Option<Open>,
    unsent: VecDeque<u8>,
    traffic: Traffic,
}

/// A client's socket.
#[derive(Debug)]
struct Open {
    socket: Rc<Socket>,
    token: Token,
}

/// What a client sends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    None,
    Drip,
    Flood,
}

/// The most bytes that a client still has to send.
const MOST_UNSENT: usize = 64 << 20;

/// How many bytes a flood may be ahead of its answers. A handler that reads until there is nothing would
/// otherwise never end its turn, and keep everything. It is more than the kernel keeps.
const MOST_AHEAD: u64 = 16 << 20;

/// The time between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(100);

/// How long the pages wait at most for the state of a client.
const DELAY: Duration = Duration::from_millis(60);

/// What a drip and a flood send, again and again.
const LINE: &[u8] = b"flood flood flood flood flood flood flood flood flood flood 64b\n";

fn sentence(error: impl std::fmt::Display) -> String {
    format!("The client failed: {error}.")
}

fn none(id: u32) -> String {
    format!("There is no client {id}.")
}

/// Lets clients connect.
pub(super) fn spawn(count: u32, cx: &mut Context<impl HasClients>) -> Result<(), String> {
    for _ in 0..count {
        let clients = cx.state.as_mut();
        clients.all.retain(|_, entry| entry.open.is_some() || entry.client.fault.is_some());
        if clients.all.len() as u32 >= MOST_CLIENTS {
            return Err(format!("There are {MOST_CLIENTS} clients already."));
        }
        clients.last += 1;
        let id = clients.last;
        connect(id, cx).map_err(sentence)?;
    }
    Ok(())
}

/// Lets a client connect to a port on which nothing listens.
pub(super) fn spawn_nowhere(cx: &mut Context<impl HasClients>) -> Result<(), String> {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").map_err(sentence)?;
    let address = nowhere.local_addr().map_err(sentence)?;
    drop(nowhere);
    let clients = cx.state.as_mut();
    let usual = std::mem::replace(&mut clients.address, address);
    let spawned = spawn(1, cx);
    cx.state.as_mut().address = usual;
    spawned
}

/// Returns whether all clients are connected, and have sent what they have to.
pub(super) fn are_still(clients: &Clients) -> bool {
    let is_still = |entry: &Entry| {
        let is_open = entry.open.is_some();
        let has_sent = entry.unsent.is_empty() || entry.traffic != Traffic::None;
        entry.client.state != "connecting" && (has_sent || !is_open)
    };
    clients.all.values().all(is_still)
}

/// Closes all clients, and forgets them: the next one is client 1.
pub(super) fn forget_all(cx: &mut Context<impl HasClients>) {
    let ids: Vec<u32> = cx.state.as_mut().all.keys().copied().collect();
    for id in ids {
        close(id, cx);
    }
    let clients = cx.state.as_mut();
    clients.directory.set_clients(Vec::new());
    clients.all.clear();
    clients.duplicates.clear();
    clients.last = 0;
}

/// Lets all clients connect again, after another subject has begun, except those that have left.
pub(super) fn connect_again(cx: &mut Context<impl HasClients>) {
    cx.state.as_mut().duplicates.clear();
    let has_left = |entry: &Entry| matches!(entry.client.fault.as_deref(), Some("close" | "reset"));
    let stay = |(id, entry): (&u32, &Entry)| (!has_left(entry)).then_some(*id);
    let ids: Vec<u32> = cx.state.as_mut().all.iter().filter_map(stay).collect();
    for id in ids {
        close(id, cx);
        if let Err(error) = connect(id, cx) {
            log::warn!("client {id}: {error}");
        }
    }
}

/// Closes the socket of a client.
fn close(id: u32, cx: &mut Context<impl HasClients>) {
    let clients = cx.state.as_mut();
    let Some(entry) = clients.all.get_mut(&id) else { return };
    entry.traffic = Traffic::None;
    entry.unsent.clear();
    if let Some(address) = &entry.client.address {
        clients.directory.forget(address);
    }
    if let Some(open) = entry.open.take() {
        let _ = cx.remove(open.token); // its handler may have removed it
    }
}

fn connect(id: u32, cx: &mut Context<impl HasClients>) -> io::Result<()> {
    let socket = Rc::new(Socket::new(Domain::IPV4, Type::STREAM, None)?);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let own = socket.local_addr()?.as_socket().map(|address| address.to_string());
    let name = format!("client {id}");
    if let Some(own) = &own {
        // Before the subject can accept it.
        cx.state.as_mut().directory.name(own.clone(), name.clone());
    }
    match socket.connect(&cx.state.as_mut().address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let interest = Interest::READ | Interest::WRITE;
    let token = cx.add(Rc::clone(&socket), interest, Peer { id })?;
    let client = Client {
        id,
        name,
        address: own,
        state: Text::Borrowed("connecting"),
        reading: true,
        ..Client::default()
    };
    let open = Some(Open { socket, token });
    let entry = Entry { client, open, unsent: VecDeque::new(), traffic: Traffic::None };
    cx.state.as_mut().all.insert(id, entry);
    note(id, cx);
    Ok(())
}

/// Notes that the state of a client has changed. The pages are told soon, and not for each byte.
fn note(id: u32, cx: &mut Context<impl HasClients>) {
    let changed = &mut cx.state.as_mut().changed;
    if changed.contains(&id) {
        return;
    }
    changed.push(id);
    if changed.len() == 1 {
        let at = Instant::now() + DELAY;
        cx.set_timer(at, |cx| tell(cx));
    }
}

/// Tells the pages the states of clients.
fn tell(cx: &mut Context<impl HasClients>) {
    let clients = cx.state.as_mut();
    let all = clients.all.values().map(|entry| entry.client.clone()).collect();
    clients.directory.set_clients(all);
    for id in std::mem::take(&mut clients.changed) {
        if let Some(client) = clients.all.get(&id).map(|entry| entry.client.clone()) {
            clients.hub.publish(&Record::Client(ClientEvent { client }));
        }
    }
}

/// Lets a client send.
pub(super) fn send(id: u32, body: &[u8], cx: &mut Context<impl HasClients>) -> Result<(), String> {
    let entry = cx.state.as_mut().all.get_mut(&id).ok_or_else(|| none(id))?;
    if entry.open.is_none() {
        return Err(format!("Client {id} is closed."));
    }
    if entry.unsent.len() + body.len() > MOST_UNSENT {
        return Err(format!("Client {id} has too much to send already."));
    }
    entry.unsent.extend(body);
    arm(id, cx)
}

/// Sets the interest of a client by what it has to do.
fn arm(id: u32, cx: &mut Context<impl HasClients>) -> Result<(), String> {
    let entry = cx.state.as_mut().all.get_mut(&id).ok_or_else(|| none(id))?;
    let (interest, open) = (entry.interest(), entry.open.as_ref());
    let token = open.ok_or_else(|| format!("Client {id} is closed."))?.token;
    cx.set_interest(token, interest).map_err(sentence)
}

/// Lets something happen to a client.
pub(super) fn fault(
    id: u32,
    fault: Fault,
    cx: &mut Context<impl HasClients>,
) -> Result<(), String> {
    let clients = cx.state.as_mut();
    let directory = Arc::clone(&clients.directory);
    let entry = clients.all.get_mut(&id).ok_or_else(|| none(id))?;
    let open = entry.open.as_ref().ok_or_else(|| format!("Client {id} is closed."))?;
    let (socket, address) = (Rc::clone(&open.socket), entry.client.address.clone());
    let theirs = || {
        let address = address.as_deref().unwrap_or_default();
        let found = directory.socket(address);
        found.ok_or_else(|| format!("The subject has not accepted client {id}."))
    };
    entry.client.fault = Some(fault.name().into());
    match fault {
        Fault::HalfClose => {
            socket.shutdown(Shutdown::Write).map_err(sentence)?;
            (entry.traffic, entry.client.state) = (Traffic::None, "half-closed".into());
            entry.unsent.clear();
        }
        Fault::Reset => {
            socket.set_linger(Some(Duration::ZERO)).map_err(sentence)?;
            entry.client.state = "reset".into();
            drop(socket);
            close(id, cx);
        }
        Fault::Close => {
            entry.client.state = "closed".into();
            drop(socket);
            close(id, cx);
        }
        Fault::StopReading => entry.client.reading = false,
        Fault::ReadAgain => entry.client.reading = true,
        Fault::Drip => {
            entry.traffic = Traffic::Drip;
            cx.set_timer(Instant::now() + DRIP, move |cx| drip(id, 0, cx));
        }
        Fault::Flood => entry.traffic = Traffic::Flood,
        Fault::Calm => entry.traffic = Traffic::None,
        Fault::Urgent => drop(socket.send_out_of_band(b"!").map_err(sentence)?),
        Fault::Duplicate => {
            let copy = theirs()?.as_fd().try_clone_to_owned().map_err(sentence)?;
            cx.state.as_mut().duplicates.push(copy);
        }
        Fault::Blocking => theirs()?.set_nonblocking(false).map_err(sentence)?,
    }
    let _ = arm(id, cx); // it may be closed now
    note(id, cx);
    Ok(())
}

/// Sends one byte, and the next one later.
fn drip(id: u32, sent: usize, cx: &mut Context<impl HasClients>) {
    let Some(entry) = cx.state.as_mut().all.get_mut(&id) else { return };
    if entry.traffic != Traffic::Drip {
        return;
    }
    if entry.unsent.is_empty() {
        entry.unsent.push_back(LINE[sent % LINE.len()]);
    }
    let _ = arm(id, cx); // it may be closed now
    cx.set_timer(Instant::now() + DRIP, move |cx| drip(id, sent + 1, cx));
}

impl Entry {
    fn interest(&self) -> Interest {
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, self.client.reading);
        let sends = !self.unsent.is_empty() || self.floods();
        interest.set(Interest::WRITE, sends || self.client.state == "connecting");
        interest
    }

    /// Returns whether a flood goes on now.
    fn floods(&self) -> bool {
        let ahead = self.client.sent.saturating_sub(self.client.received);
        self.traffic == Traffic::Flood && ahead < MOST_AHEAD
    }

    /// Reads what has come. Returns whether the connection goes on.
    fn receive(&mut self, socket: &mut Source<Rc<Socket>>) -> bool {
        let mut buffer = [0; 16 << 10];
        while self.client.reading && socket.is_readable() {
            match socket.try_io(Interest::READ, |socket| (&**socket).read(&mut buffer)) {
                Ok(0) => {
                    self.client.state = "closed".into();
                    return false;
                }
                Ok(count) => {
                    self.client.received += count as u64;
                    self.client.last = excerpt(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.client.state = "reset".into();
                    return false;
                }
            }
        }
        true
    }

    /// Sends what there is. Returns whether the connection goes on.
    fn send(&mut self, socket: &mut Source<Rc<Socket>>) -> bool {
        loop {
            if self.unsent.is_empty() && self.floods() {
                (0..64).for_each(|_| self.unsent.extend(LINE));
            }
            let data = self.unsent.as_slices().0;
            if data.is_empty() {
                return true;
            }
            match socket.try_io(Interest::WRITE, |socket| (&**socket).write(data)) {
                Ok(count) => {
                    self.unsent.drain(..count);
                    self.client.sent += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    self.client.state = "reset".into();
                    return false;
                }
            }
        }
    }
}

/// A client in the observer's loop.
struct Peer {
    id: u32,
}

impl<S: HasClients> Handler<Rc<Socket>, S> for Peer {
    fn ready(&mut self, socket: &mut Source<Rc<Socket>>, cx: &mut Context<S>) -> io::Result<Next> {
        let Some(entry) = cx.state.as_mut().all.get_mut(&self.id) else { return Ok(Next::Remove) };
        let mut goes_on = true;
        if entry.client.state == "connecting" {
            let error = socket.get_ref().take_error()?;
            goes_on = error.is_none();
            entry.client.state = if goes_on { "open" } else { "refused" }.into();
        }
        goes_on = goes_on && entry.receive(socket) && entry.send(socket);
        entry.client.unsent = entry.unsent.len() as u64;
        socket.set_interest(entry.interest());
        if !goes_on {
            close(self.id, cx);
        }
        note(self.id, cx);
        Ok(Next::Keep)
    }

    fn shutting_down(
        &mut self,
        _: &mut Source<Rc<Socket>>,
        cx: &mut Context<S>,
    ) -> io::Result<Next> {
        close(self.id, cx);
        Ok(Next::Remove)
    }
}
