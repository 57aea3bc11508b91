//! A connection that ends before all its output is sent, whatever ends it: its peer is reset, also while it
//! reads. An end would look as if that were all. On every backend and trigger.

use std::fs::File;
use std::io::{self, ErrorKind};

use support::net::{Call, Why};
use support::one::{One, Over};
use support::{Pair, known_bytes, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Filter, Wire};

/// More than the socket buffers of both ends hold.
const MUCH: usize = 6 << 20;

/// A connection that owes its peer most of its output. It is removed, or panics, when it receives something.
fn owing(pair: Pair, panics: bool) -> One {
    let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
        Call::Opened => {
            wire.write(&known_bytes(5, MUCH));
            Ok(0)
        }
        Call::Received(_) if panics => std::panic::resume_unwind(Box::new("on purpose")),
        Call::Received(data) => cx.remove(wire.token()).map(|()| data.len()),
        _ => Ok(0),
    };
    let mut one = One::with(pair, Over::Tcp, |it| it.read_above_mark(true), script);
    assert_eq!(one.next_call(), Call::Opened);
    one
}

#[test]
fn a_peer_that_reads_is_reset_by_a_removal_or_a_panic_before_the_end_of_the_output() {
    on_every_pair_and_noise(|pair| {
        for (panics, why) in [(true, Why::Failed(ErrorKind::Other)), (false, Why::Removed)] {
            let mut one = owing(pair, panics);
            one.peer().send(b"!").unwrap();
            assert_eq!(one.until_closed().pop(), Some(Call::Closed(why)));
            let error = one.read_to_end().1.map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::ConnectionReset), "{why:?}");
        }
        let mut one = owing(pair, false);
        let token = one.token;
        one.context(|cx| cx.remove(token)).unwrap();
        let error = one.read_to_end().1.map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::ConnectionReset));
    });
}

/// A filter that passes so many bytes, and then fails.
struct Limited(usize);

impl Filter for Limited {
    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        plain.extend_from_slice(data);
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0 = self.0.checked_sub(plain.len()).ok_or(ErrorKind::Other)?;
        out.extend_from_slice(plain);
        Ok(())
    }
}

#[test]
fn a_peer_that_reads_is_reset_when_a_filter_fails_in_the_middle_however_much_is_written_at_once() {
    on_every_pair_and_noise(|pair| {
        for piece in [300_000, 60_000, 30_000] {
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if *call == Call::Opened {
                    (0..300_000 / piece).for_each(|_| _ = wire.write(&known_bytes(5, piece)));
                    wire.close();
                }
                Ok(0)
            };
            let mut one = One::with(pair, Over::Tcp, |it| it.over(Limited(140_000)), script);
            let why = one.until_closed().pop();
            assert_eq!(why, Some(Call::Closed(Why::Failed(ErrorKind::Other))), "{piece}");
            let error = one.read_to_end().1.map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::ConnectionReset), "{piece}");
        }
    });
}

#[test]
fn a_peer_that_reads_is_reset_by_the_end_of_the_reactor_before_the_end_of_the_output() {
    on_every_pair_and_noise(|pair| {
        let One { reactor, peer, .. } = owing(pair, false);
        drop(reactor);
        let mut peer = peer.unwrap();
        peer.set_nonblocking(false).unwrap();
        let end = io::copy(&mut peer, &mut io::sink()).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
    });
}

#[test]
fn a_removal_after_the_last_of_the_output_is_an_end() {
    on_every_pair_and_noise(|pair| {
        let mut one = owing(pair, false);
        assert!(one.read(MUCH) == known_bytes(5, MUCH));
        assert_eq!(one.next_call(), Call::Drained);
        let token = one.token;
        one.context(|cx| cx.remove(token)).unwrap();
        let (rest, error) = one.read_to_end();
        assert!(rest.is_empty() && error.is_none(), "{error:?}");
    });
}

#[test]
fn a_peer_is_reset_by_a_panic_before_the_first_of_the_output_was_sent() {
    on_every_pair_and_noise(|pair| {
        let mut one = One::new(pair, Over::Tcp, |call: &Call, wire: &mut Wire<'_>, _: &mut _| {
            if let Call::Received(_) = call {
                wire.write(b"the first half");
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            Ok(0)
        });
        one.peer().send(b"!").unwrap();
        one.until_closed();
        let (got, error) = one.read_to_end();
        assert_eq!(
            (&got[..], error.map(|error| error.kind())),
            (&b""[..], Some(ErrorKind::ConnectionReset))
        );
    });
}

#[test]
fn output_of_no_bytes_is_not_missing() {
    type Nothing = fn(&mut Wire<'_>) -> bool;
    let nothings: [Nothing; 3] = [
        |wire| wire.write(b""),
        |wire| wire.send(Vec::new()),
        |wire| wire.send_file(File::open("/dev/null").unwrap(), 0..0),
    ];
    on_every_pair_and_noise(|pair| {
        for write_nothing in nothings {
            let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                if let Call::Received(_) = call {
                    write_nothing(wire);
                    cx.remove(wire.token())?;
                }
                Ok(0)
            };
            let mut one = One::new(pair, Over::Tcp, script);
            one.peer().send(b"!").unwrap();
            assert_eq!(one.until_closed().pop(), Some(Call::Closed(Why::Removed)));
            let (rest, error) = one.read_to_end();
            assert!(rest.is_empty() && error.is_none(), "{error:?}");
        }
    });
}
