//! Chapter 13, timers, wakers and stopping.
//!
//! Question: how do I wake, and how do I stop, a loop that sleeps?
//!
//! Run: `cargo run --example ch13_stop`
//!
//! Try: leave `handle.stop()` out of the thread. How long does `run` take then?

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use tripoll::reactor::Probe;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source};

fn main() -> io::Result<()> {
    timers()?;
    wakes()?;
    stops()?;
    winds_down()
}

/// Prints until when each wait may block.
struct Sleeper;

impl Probe for Sleeper {
    fn waiting(&mut self, deadline: Deadline) {
        println!("    it waits: {deadline:?}");
    }
}

fn timers() -> io::Result<()> {
    println!("three timers, of which one is cancelled:");
    let mut reactor = Reactor::builder().probe(Sleeper).build()?;
    let in_ms = |ms| Instant::now() + Duration::from_millis(ms);
    let mut cx = reactor.context();
    cx.set_timer(in_ms(20), move |cx| {
        println!("    the first has rung, and sets another");
        cx.set_timer(in_ms(20), |cx| {
            println!("    the other has rung");
            cx.stop();
        });
    });
    let cancelled = cx.set_timer(in_ms(10), |_| println!("    nobody sees this"));
    let answers = [cx.cancel_timer(cancelled), cx.cancel_timer(cancelled)];
    println!("    cancelled: {answers:?}, left: {}", cx.timers());
    reactor.run()
}

fn wakes() -> io::Result<()> {
    println!("a hundred jobs sent by a handle:");
    for asleep in [false, true] {
        let mut reactor = Reactor::builder().build_with(0)?;
        if asleep {
            reactor.prepare_poll()?; // what a turn does before it waits, without the wait
        }
        let handle = reactor.handle();
        for _ in 0..100 {
            handle.post(|cx| *cx.state += 1).expect("the reactor is there");
        }
        reactor.turn(Deadline::Never)?;
        let (counters, jobs) = (reactor.context().counters(), *reactor.state());
        let what = if asleep { "asleep" } else { "awake" };
        println!(
            "    to a loop that is {what:6}  {jobs} are run, system calls to wake it: {}",
            counters.wakes
        );
    }
    Ok(())
}

fn stops() -> io::Result<()> {
    println!("stopping:");
    let mut reactor = Reactor::new()?;
    let handle = reactor.handle();
    let stopper = thread::spawn(move || {
        handle.stop();
        handle.stop(); // once more does no harm
    });
    reactor.run()?; // returns, whether `stop` came before the wait or during it
    stopper.join().expect("it does not panic");
    println!("    from another thread: run has returned");
    let turns = reactor.context().counters().turns;
    reactor.run()?;
    println!("    and stays stopped: {} more turns", reactor.context().counters().turns - turns);
    Ok(())
}

/// Reads to the end before its source is removed.
struct Polite;

impl Handler<UnixStream> for Polite {
    fn ready(&mut self, client: &mut Source<UnixStream>, _: &mut Context) -> io::Result<Next> {
        let mut buffer = [0; 16];
        while let count @ 1.. = client.read(&mut buffer)? {
            println!("    it still reads {:?}", String::from_utf8_lossy(&buffer[..count]));
        }
        Ok(Next::Remove)
    }

    fn shutting_down(
        &mut self,
        client: &mut Source<UnixStream>,
        _: &mut Context,
    ) -> io::Result<Next> {
        client.get_mut().write_all(b"last orders")?;
        Ok(Next::Keep)
    }
}

fn winds_down() -> io::Result<()> {
    println!("winding down:");
    let mut reactor = Reactor::new()?;
    let (mine, mut theirs) = UnixStream::pair()?;
    reactor.context().add(mine, Interest::READ, Polite)?;
    let client = thread::spawn(move || -> io::Result<()> {
        theirs.read_exact(&mut [0; "last orders".len()])?;
        theirs.write_all(b"one more")
    });
    reactor.context().shutdown(Duration::from_secs(60));
    let began = Instant::now();
    reactor.run()?;
    client.join().expect("it does not panic")?;
    let waited = began.elapsed() >= Duration::from_secs(60);
    println!("    all are gone: {}, the grace was used up: {waited}", reactor.context().is_empty());
    Ok(())
}
