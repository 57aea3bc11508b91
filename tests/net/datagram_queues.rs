//! The queue of a datagram protocol: its marks, its share for each receiver, and what it costs while a
//! receiver has no room.

use std::io::ErrorKind;
use std::time::Duration;

use support::on_every_pair;
use tripoll::Deadline;
use tripoll::net::{Address, DatagramEndpoint, DatagramSocket, DatagramWire, Watermarks};
use tripoll::reactor::Budget;

use crate::datagram_protocols::{Call, Log, Scripted, bound, client, drive, silent};
use crate::listener::{Directory, unix};

#[test]
fn what_cannot_be_sent_at_all_does_not_wait() {
    on_every_pair(|pair| {
        let directory = Directory::new("nobody");
        let nobody = unix(&directory.at("nobody"));
        let to = nobody.clone();
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if *call == Call::Opened {
                wire.send_to(b"hello", &to);
                assert_eq!(wire.unsent(), 0);
            }
            Ok(())
        };
        let socket = DatagramSocket::bind(unix(&directory.at("socket"))).unwrap();
        let mut reactor = pair.reactor(Log::new());
        DatagramEndpoint::new(Scripted(protocol)).serve(socket, &mut reactor.context()).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        let failed = Call::Error(ErrorKind::NotFound, Some(nobody));
        assert_eq!(*reactor.state(), [Call::Opened, failed]);
        assert_eq!(reactor.context().timers(), 0);
    });
}

#[test]
fn the_peer_of_a_connected_unix_socket_may_have_the_whole_queue() {
    on_every_pair(|pair| {
        let directory = Directory::new("connected");
        let (_silent, to) = silent(&directory, "silent");
        let socket = DatagramSocket::bind(unix(&directory.at("socket"))).unwrap();
        socket.connect(&to).unwrap();
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if *call == Call::Opened {
                while wire.unsent() == 0 {
                    wire.send(b"x");
                }
                (0..19).for_each(|_| wire.send(b"x"));
                assert_eq!(wire.unsent(), 20 * 129);
            }
            Ok(())
        };
        let mut reactor = pair.reactor(Log::new());
        let marks = Watermarks::new(129, 20 * 129, 20 * 129);
        let endpoint = DatagramEndpoint::new(Scripted(protocol)).watermarks(marks);
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(*reactor.state(), [Call::Opened]);
    });
}

#[test]
fn a_unix_receiver_without_room_is_tried_more_and_more_seldom() {
    on_every_pair(|pair| {
        let directory = Directory::new("seldom");
        let (_silent, to) = silent(&directory, "silent");
        let expired = Call::Error(ErrorKind::TimedOut, Some(to.clone()));
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            while *call == Call::Opened && wire.unsent() == 0 {
                wire.send_to(b"x", &to);
            }
            Ok(())
        };
        let socket = DatagramSocket::bind(unix(&directory.at("socket"))).unwrap();
        let mut reactor = pair.reactor(Log::new());
        let endpoint =
            DatagramEndpoint::new(Scripted(protocol)).send_timeout(Duration::from_millis(500));
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        drive(&mut reactor, |log| log.contains(&expired));
        // After 1 ms, 2 ms, 4 ms and so on to 64 ms, and then after 64 ms each time.
        let fired = reactor.context().counters().timers;
        assert!((5..30).contains(&fired), "{fired} on {pair}");
    });
}

#[test]
fn a_queue_that_never_was_above_the_high_mark_does_not_fall_below_the_low_one() {
    on_every_pair(|pair| {
        let (socket, receiver) = (bound(), client());
        let to = Address::Inet(receiver.local_addr().unwrap());
        let mut reactor = pair.build(pair.builder().budget(Budget::new(3, 1 << 20)), Log::new());
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if *call == Call::Opened {
                (0..13).for_each(|number| wire.send_to(&[number], &to));
                assert_eq!(wire.unsent(), 10 * 129); // this is the mark
            }
            Ok(())
        };
        let marks = Watermarks::new(129, 10 * 129, 100 * 129);
        let endpoint = DatagramEndpoint::new(Scripted(protocol)).watermarks(marks);
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        for number in 0..13 {
            reactor.turn(Deadline::Now).unwrap();
            let mut buffer = [0; 8];
            assert_eq!((receiver.recv(&mut buffer).unwrap(), buffer[0]), (1, number));
        }
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(*reactor.state(), [Call::Opened]);
    });
}
