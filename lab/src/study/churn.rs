//! What descriptors cost that come and go.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll;
use tripoll::net::{Address, Closed, Connection, Listener, Protocol, Wire};
use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Token, Trigger};

use super::options::{Options, Steps};
use super::report::Findings;
use super::rows::{Cost, Rows, timed};
use crate::compare::format::grouped;
use crate::workload::Pipes;

pub(super) const TITLE: &str = "What descriptors cost that come and go";

const BACKENDS: [Backend; 3] = [Backend::Select, Backend::Poll, Backend::Epoll];
/// The descriptors that are watched meanwhile.
const AMONG: [usize; 3] = [0, 100, 1_000];

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let (passes, pairs, connections) =
        if options.quick { (3, 2_000, 100) } else { (7, 20_000, 500) };
    let most = AMONG[AMONG.len() - 1];
    Pipes::check(most)?;
    let idle: Vec<OwnedFd> = (0..most)
        .map(|_| rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC))
        .collect::<Result<_, _>>()?;
    let mut rows = Rows::default();
    let mut stopped = false;
    for pass in 0..passes {
        if steps(pass as f64 / passes as f64, "registrations and connections").is_break() {
            stopped = true;
            break;
        }
        for among in AMONG {
            let at = grouped(among);
            for backend in BACKENDS {
                let what = format!("register, {backend}");
                rows.add(&what, &at, register(backend, &idle[..among], pairs)?);
            }
            rows.add("register, bare epoll", &at, bare(&idle[..among], pairs)?);
        }
        for among in AMONG {
            for backend in BACKENDS {
                let cost = connect(backend, &idle[..among], connections)?;
                rows.add(&format!("connection, {backend}"), &grouped(among), cost);
            }
        }
    }
    if rows.is_empty() {
        return Ok(Findings::default());
    }
    let caption = "Nanoseconds to register a descriptor and to remove it, and for a connection that \
                   is accepted, sends a byte and is closed, with its client; among so many that are \
                   watched and silent. Calls: those that wait or change what is watched.";
    Ok(Findings { stopped, ..rows.findings(caption, sentences(&rows)) })
}

fn register(backend: Backend, idle: &[OwnedFd], pairs: usize) -> io::Result<Cost> {
    let mut selector = backend.selector()?;
    for (index, fd) in idle.iter().enumerate() {
        selector.add(
            fd.as_raw_fd(),
            Token::new(index as u32, 0),
            Interest::READ,
            Trigger::Level,
        )?;
    }
    let one = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?;
    let token = Token::new(idle.len() as u32, 0);
    let cost = timed(pairs, || {
        for _ in 0..pairs {
            selector.add(one.as_raw_fd(), token, Interest::READ, Trigger::Level)?;
            selector.remove(one.as_raw_fd())?;
        }
        Ok(())
    })?;
    let calls = if selector.caps().change_is_a_system_call { 2.0 } else { 0.0 };
    Ok(Cost { calls: Some(calls), ..cost })
}

fn bare(idle: &[OwnedFd], pairs: usize) -> io::Result<Cost> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let add = |fd: &OwnedFd| {
        epoll::add(&epoll, fd.as_fd(), epoll::EventData::new_u64(0), epoll::EventFlags::IN)
    };
    idle.iter().try_for_each(add)?;
    let one = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?;
    let cost = timed(pairs, || {
        for _ in 0..pairs {
            add(&one)?;
            epoll::delete(&epoll, &one)?;
        }
        Ok(())
    })?;
    Ok(Cost { calls: Some(2.0), ..cost })
}

/// What the connections count.
#[derive(Default)]
struct Counts {
    received: usize,
    closed: usize,
}

struct Sink;

impl Protocol<Counts> for Sink {
    fn received(
        &mut self,
        _: &mut Wire,
        data: &[u8],
        cx: &mut Context<Counts>,
    ) -> io::Result<usize> {
        cx.state.received += 1;
        Ok(data.len())
    }

    fn closed(&mut self, _: &Closed, cx: &mut Context<Counts>) {
        cx.state.closed += 1;
    }
}

fn connect(backend: Backend, idle: &[OwnedFd], count: usize) -> io::Result<Cost> {
    let mut reactor = Reactor::builder().backend(backend).build_with(Counts::default())?;
    let listener = Listener::bind("127.0.0.1:0")?;
    let Address::Inet(address) = *listener.local_address() else { unreachable!("it is TCP") };
    let mut cx = reactor.context();
    listener.serve(&mut cx, |stream, cx| {
        Connection::new(Sink).linger(Duration::ZERO).serve(stream, cx).map(drop)
    })?;
    for fd in idle {
        cx.add(
            fd.try_clone()?,
            Interest::READ,
            |_: &mut Source<OwnedFd>, _: &mut Context<Counts>| Ok(Next::Keep),
        )?;
    }
    let one = |reactor: &mut Reactor<Counts>, address: SocketAddr, number: usize| {
        let mut client = TcpStream::connect(address)?;
        client.write_all(b"x")?;
        while reactor.state().received < number {
            reactor.turn(Deadline::Never)?;
        }
        drop(client);
        while reactor.state().closed < number {
            reactor.turn(Deadline::Never)?;
        }
        io::Result::Ok(())
    };
    one(&mut reactor, address, 1)?;
    let counters = |reactor: &mut Reactor<Counts>| {
        let counters = reactor.context().counters();
        counters.waits + counters.controls
    };
    let before = counters(&mut reactor);
    let cost =
        timed(count, || (0..count).try_for_each(|number| one(&mut reactor, address, number + 2)))?;
    let calls = (counters(&mut reactor) - before) as f64 / count as f64;
    Ok(Cost { calls: Some(calls), ..cost })
}

fn sentences(rows: &Rows) -> Vec<String> {
    let mut all = Vec::new();
    let ns = |cost: f64| grouped(cost.round() as usize);
    let registers = ["register, poll", "register, epoll", "register, bare epoll"]
        .map(|what| rows.cpu(what, "100"));
    if let [Some(poll), Some(epoll), Some(bare)] = registers {
        all.push(format!(
            "To register a descriptor and to remove it costs {} ns by epoll, two system calls, and \
             {} ns by poll, which needs none. Bare epoll_ctl(2) takes {} ns.",
            ns(epoll),
            ns(poll),
            ns(bare)
        ));
    }
    let most = grouped(AMONG[AMONG.len() - 1]);
    let connections = [("poll", "0"), ("epoll", "0"), ("poll", &most), ("epoll", &most)]
        .map(|(backend, among)| rows.cpu(&format!("connection, {backend}"), among));
    if let [Some(poll), Some(epoll), Some(many_poll), Some(many_epoll)] = connections {
        all.push(format!(
            "A connection of one byte costs {:.1} µs by poll and {:.1} µs by epoll, its client \
             included; beside {most} silent descriptors {:.1} µs and {:.1} µs.",
            poll / 1e3,
            epoll / 1e3,
            many_poll / 1e3,
            many_epoll / 1e3
        ));
    }
    all.push(
        "Wall-clock time is longer than processor time where the thread waits for the kernel, or for \
         a processor that has other work."
            .to_string(),
    );
    all
}
