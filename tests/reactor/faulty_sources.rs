//! Sources whose operations are short, interrupted and refused at any time, and fail with any error.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use support::faulty_stream::FaultyStream;
use support::noise::seeds;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token, Trigger, sys};

#[test]
fn echoes_come_back_whole_although_operations_are_short_and_refused() {
    for seed in seeds() {
        on_every_pair_and_noise(|pair| {
            let would_block = pair.effective_trigger() != Trigger::Edge;
            let mut reactor = pair.reactor(());
            let (mine, mut client) = unix_pair();
            let sent = known_bytes(seed, 30_000);
            let source = FaultyStream::new(mine, seed, would_block);
            let mut echo = echo();
            let (made, faults) = std::sync::mpsc::channel();
            add(
                &mut reactor,
                source,
                Interest::READ,
                move |source: &mut Source<FaultyStream>, cx| {
                    let returned = echo(source, cx);
                    let _ = made.send(source.get_ref().made);
                    returned
                },
            );
            let (mut written, mut got) = (0, Vec::new());
            let give_up = Instant::now() + LONG;
            while got.len() < sent.len() {
                let piece = (written + 2_000).min(sent.len());
                written += client.write(&sent[written..piece]).unwrap_or(0);
                let mut buffer = [0; 4_096];
                if let Ok(count) = client.read(&mut buffer) {
                    got.extend_from_slice(&buffer[..count]);
                }
                reactor.turn(Deadline::after(Duration::from_millis(10))).unwrap();
                assert!(Instant::now() < give_up, "stalled: {:?}", reactor.context().counters());
            }
            assert!(got == sent);
            let [short, interrupted, refused] = faults.try_iter().last().unwrap();
            assert!(short > 0 && interrupted > 0 && (refused > 0) == would_block);
            assert_eq!((reactor.context().len(), reactor.context().counters().errors), (1, 0));
        });
    }
}

/// Reads to the end, and tells the state with which error it was removed.
struct Reader;

impl Handler<FaultyStream, Vec<i32>> for Reader {
    fn ready(
        &mut self,
        source: &mut Source<FaultyStream>,
        _: &mut Context<Vec<i32>>,
    ) -> io::Result<Next> {
        loop {
            if source.read(&mut [0; 1])? == 0 {
                return Ok(Next::Remove);
            }
        }
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Vec<i32>>) {
        cx.state.push(error.and_then(sys::errno).unwrap_or(0));
    }
}

/// Every number of Linux, those of the manual pages and those that they forget.
#[test]
fn each_error_of_a_read_ends_its_source_alone_and_is_told() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (neighbour, mut neighbours_peer) = unix_pair();
        let neighbour = FaultyStream::new(neighbour, 1, false);
        let kept = reactor.context().add(neighbour, Interest::READ, Reader).unwrap();
        for errno in 1..=133 {
            if [libc::EAGAIN, libc::EINTR].contains(&errno) {
                continue; // not errors
            }
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"some bytes").unwrap();
            let source = FaultyStream::new(mine, errno as u64, false).failing(2, errno);
            reactor.context().add(source, Interest::READ, Reader).unwrap();
            neighbours_peer.write_all(b"x").unwrap();
            drive(&mut reactor, 20, |told| !told.is_empty());
            assert_eq!(*reactor.state(), [errno]);
            reactor.state_mut().clear();
            assert_eq!(reactor.context().len(), 1);
        }
        assert!(reactor.context().interest(kept).is_some());
        assert_eq!(reactor.context().counters().errors, 131);
    });
}
