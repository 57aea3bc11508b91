//! The cases over the connections of the program, in a loop of this process whose selector also makes
//! faults: late, reordered, repeated, stale and spurious events.

use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use support::{LONG, Pair, on_every_pair_and_noise};
use tripoll::net::{Address, Listener};

use crate::cases::cases;
use crate::clients::{run, send_all};
use crate::connection::{Limits, Server, serve};
use crate::files::Files;
use crate::folder::{Folder, LARGE, ask, get};

/// Runs `body` with a way to connect to a server in a loop of its own thread.
fn while_serving(pair: Pair, root: Option<PathBuf>, body: impl FnOnce(&dyn Fn() -> TcpStream)) {
    thread::scope(|scope| {
        let (started, start) = mpsc::channel();
        scope.spawn(move || {
            let limits = Limits { request: LONG, idle: LONG };
            let files = root.map(|root| Files::new(&root).unwrap());
            let mut reactor = pair.reactor(Server::new(limits, files));
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().clone();
            serve(listener, Box::new(Ok), &mut reactor.context()).unwrap();
            started.send((address, reactor.handle())).unwrap();
            reactor.run().unwrap();
        });
        let (Address::Inet(address), handle) = start.recv().unwrap() else { unreachable!() };
        body(&|| {
            let client = TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            client
        });
        handle.shutdown(Duration::from_secs(1)).unwrap();
    });
}

#[test]
fn each_case_is_answered_whatever_a_selector_reports() {
    let folder = Folder::new();
    on_every_pair_and_noise(|pair| {
        while_serving(pair, None, |connect| {
            for case in cases().iter().filter(|case| case.more.is_empty()) {
                let half_close = |client: &mut TcpStream| client.shutdown(Shutdown::Write).unwrap();
                run(connect(), case, 1, send_all, half_close);
            }
        });
        while_serving(pair, Some(folder.root()), |connect| {
            let requests = get("/") + &get("/large.bin") + &get("/a%20b.txt");
            let answers = ask(connect(), &requests);
            let lengths: Vec<_> = answers.iter().map(|answer| answer.body.len()).collect();
            assert_eq!(lengths, [9, LARGE, 6]);
        });
    });
}
