//! A selector from outside the crate, made of public items only: the one of the documentation of
//! `selector::support`, with counters.

use std::io;
use std::os::fd::RawFd;

use tripoll::selector::support::{Table, check_open};
use tripoll::selector::{
    Caps, Deadline, Event, Events, Interest, Readiness, Selector, SelectorCounters, Token, Trigger,
};
use tripoll::sys::{PollFd, PollFlags, poll};

/// `poll(2)`, with an array that is built anew for each wait.
#[derive(Debug, Default)]
pub struct OutsideSelector {
    table: Table<(Token, Interest)>,
    waits: u64,
}

impl Selector for OutsideSelector {
    fn name(&self) -> &'static str {
        "outside"
    }

    fn caps(&self) -> Caps {
        let reports = Readiness::all().difference(Readiness::INVALID);
        let mut caps = Caps::new(&[Trigger::Level], reports);
        caps.reports_hangup_alone = true;
        caps
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.table.check_vacant(fd)?;
        self.caps().check(self.name(), fd, trigger)?;
        check_open(fd)?;
        self.table.insert(fd, (token, interest));
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.table.entry(fd)?.1 = interest;
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.table.remove(fd).map(drop)
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        let watched = self.table.iter_mut().filter(|(_, entry)| !entry.1.is_empty());
        let (tokens, mut array): (Vec<Token>, Vec<PollFd>) = watched
            .map(|(fd, &mut (token, interest))| (token, PollFd::new(fd, to_poll_flags(interest))))
            .unzip();
        self.waits += 1;
        poll(&mut array, deadline.remaining())?;
        for (token, answer) in tokens.into_iter().zip(array) {
            let readiness =
                Readiness::from_bits_truncate(u32::from(answer.revents().bits() as u16));
            if !readiness.is_empty() {
                events.push(Event::new(token, readiness));
            }
        }
        Ok(())
    }

    fn counters(&self) -> SelectorCounters {
        let mut counters = SelectorCounters::default();
        counters.waits = self.waits;
        counters
    }
}

fn to_poll_flags(interest: Interest) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN | PollFlags::RDHUP, interest.contains(Interest::READ));
    flags.set(PollFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(PollFlags::PRI, interest.contains(Interest::PRIORITY));
    flags
}
