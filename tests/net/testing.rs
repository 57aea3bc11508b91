//! A protocol in the hands of a test, without a network.

use std::io;
use std::time::Duration;

use tripoll::net::testing::ProtocolTest;
use tripoll::net::{Protocol, Wire};
use tripoll::{Context, Interest};

const MUCH: usize = 1 << 20;

/// Sends back what it receives, and much when it is notified.
struct Echo;

impl Protocol for Echo {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        if data.starts_with(b"!") {
            return Err(io::Error::other("not understood"));
        }
        wire.write(data);
        Ok(data.len())
    }

    fn notified(&mut self, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<()> {
        wire.write(&vec![7; MUCH]);
        Ok(())
    }
}

#[test]
fn what_is_received_is_answered_and_the_end_closes() {
    let mut test = ProtocolTest::new(Echo, ()).unwrap();
    assert_eq!(test.interest(), Some(Interest::READ));
    for message in [&b"hello"[..], b"again", &vec![3; MUCH]] {
        test.receive(message);
        assert!(test.written() == message);
    }
    assert!(!test.is_closing() && test.closed().is_none());
    test.end();
    assert!(test.is_closing());
    assert_eq!((test.closed().as_deref(), test.interest()), (Some("closed"), None));
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_is_closed_after_a_minute() {
    let mut test = ProtocolTest::new(Echo, ()).unwrap();
    test.set_reads(false);
    test.notify();
    assert_eq!(test.interest(), Some(Interest::WRITE));
    test.receive(b"later");
    assert_eq!(test.written(), b"");
    test.set_reads(true);
    assert_eq!(test.written().len(), MUCH + 5);
    test.set_reads(false);
    test.notify();
    for _ in 0..3 {
        test.advance(Duration::from_secs(60)); // its last reading counts
    }
    let why = "the peer did not read any output for write_timeout";
    assert_eq!(test.closed().as_deref(), Some(why));
}

#[test]
fn an_error_and_a_shutdown_end_it() {
    let mut test = ProtocolTest::new(Echo, ()).unwrap();
    test.receive(b"!");
    assert_eq!(test.closed().as_deref(), Some("not understood"));
    test.receive(b"nothing more happens");
    assert_eq!(test.written(), b"");

    let mut test = ProtocolTest::new(Echo, ()).unwrap();
    test.context().shutdown(Duration::from_secs(5));
    assert_eq!(test.written(), b"");
    assert!(test.is_closing());
}
