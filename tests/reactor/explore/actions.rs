//! What the explorer may do to the world and to the reactor.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use tripoll::reactor::Budget;
use tripoll::selector::Readiness;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source, Token};

use super::world::{Kind, Like, Shared, Slot, World, WorldSelector, WorldStream};

const READ: Interest = Interest::READ;

/// The budget of a call: two operations.
const OPERATIONS: u32 = 2;

/// What a handler does when it is called.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Reads and, if it has the interest, writes and reads what is urgent, all to `WouldBlock` or the
    /// end.
    #[default]
    Drain,
    ReadOne(Next),
    ReadAll(Next),
    WriteOne(Next),
    ReadUrgent(Next),
    /// Reads everything past the source, which does not notice.
    ReadAside(Next),
    /// Reads an attribute from its beginning, which always succeeds.
    ReadAnew(Next),
    Nothing(Next),
    SetInterest(Interest),
    /// Removes the source of the other slot, and adds one in its place.
    ReplaceOther,
    Fail,
}

/// One step. One that is impossible in the present state is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The kernel: a byte arrives.
    Data(usize),
    /// The kernel: there is room to write.
    Room(usize),
    /// The kernel: the peer sends no more.
    End(usize),
    /// The kernel: the peer is gone.
    HangUp(usize),
    /// The kernel: an error is put in the error queue.
    Error(usize),
    /// The kernel: urgent data arrives, or the attribute changes.
    Urgent(usize),
    Add(usize, Interest),
    AddAttribute(usize, Interest),
    Remove(usize),
    SetInterest(usize, Interest),
    Arm(usize),
    Notify(usize),
    /// One turn of the loop, in which handlers follow the script.
    Turn(Script),
    /// The other selector.
    Switch,
}

/// A reactor in its world.
pub struct Run {
    pub world: Shared,
    pub reactor: Reactor<Shared>,
    likes: [Like; 2],
}

struct Actor {
    slot: usize,
}

impl Actor {
    /// Follows the script.
    fn act(
        &mut self,
        source: &mut Source<WorldStream>,
        cx: &mut Context<Shared>,
    ) -> io::Result<Next> {
        let world = &Arc::clone(cx.state);
        let script = {
            let mut world = world.lock().unwrap();
            let slot = &world.slots[self.slot];
            let is_own = slot.life.as_ref().is_some_and(|life| life.token == source.token());
            if !is_own || slot.is_disarmed || slot.interest.is_empty() {
                world.misdelivered += 1;
            }
            world.script
        };
        let (mut byte, mut has_read, mut reads, mut is_lacking) = ([0], false, 0, false);
        let next = match script {
            Script::Drain => {
                while source.read(&mut byte).is_ok_and(|count| count > 0) {}
                if source.interest().contains(Interest::WRITE) {
                    loop {
                        match source.write(&byte) {
                            Ok(_) => {}
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                            Err(error) => return Err(error),
                        }
                    }
                }
                if source.interest().contains(Interest::PRIORITY) {
                    while source.try_io(Interest::PRIORITY, WorldStream::read_urgent).is_ok() {}
                }
                Next::Keep
            }
            Script::ReadOne(next) => {
                has_read = source.read(&mut byte).is_ok_and(|count| count > 0);
                next
            }
            Script::ReadAll(next) => {
                while source.read(&mut byte).is_ok_and(|count| count > 0) {
                    (has_read, reads) = (true, reads + 1);
                }
                // `WouldBlock` although there is more: nobody may say that it is done.
                is_lacking = world.lock().unwrap().slots[self.slot].unread > 0;
                next
            }
            Script::WriteOne(next) => {
                let _one = source.write(&byte)?;
                next
            }
            Script::ReadUrgent(next) => {
                source.try_io(Interest::PRIORITY, WorldStream::read_urgent)?;
                next
            }
            Script::ReadAside(next) => {
                while source.get_mut().read(&mut byte).is_ok_and(|count| count > 0) {}
                let _none = source.get_mut().read_urgent();
                next
            }
            Script::ReadAnew(next) => {
                if world.lock().unwrap().slots[self.slot].kind == Kind::Attribute {
                    let _none = source.get_mut().read_urgent();
                    let _blocked = source.try_io(READ, |_| Ok(()));
                }
                next
            }
            Script::Nothing(next) => next,
            Script::SetInterest(interest) => {
                let slot = &mut world.lock().unwrap().slots[self.slot];
                if slot.can_want(interest) {
                    source.set_interest(interest);
                    slot.interest = interest;
                }
                Next::Keep
            }
            Script::ReplaceOther => {
                let slot = 1 - self.slot;
                let other = world.lock().unwrap().slots[slot].life.take();
                if let Some(other) = other {
                    cx.remove(other.token)?;
                    add(cx, slot, Kind::Stream, READ);
                }
                Next::Keep
            }
            Script::Fail => return Err(io::Error::other("as the script says")),
        };
        let slot = &mut world.lock().unwrap().slots[self.slot];
        // The budget's `WouldBlock`, which no handler can tell from the kernel's.
        let was_cut_off = is_lacking && reads == OPERATIONS;
        if next == Next::Done && !was_cut_off {
            // An end of a stream that has come with data is not told apart from it, and cannot be
            // consumed with it.
            let end_is_kept = has_read && slot.has_ended && slot.kind == Kind::Stream;
            let kept = if end_is_kept || is_lacking { READ } else { Interest::NONE };
            slot.forgiven |= slot.interest.difference(kept);
        }
        slot.is_disarmed |= next == Next::Disarm;
        if slot.life.as_ref().is_some_and(|life| life.is_shown) {
            slot.show(); // it may be parked now
        }
        Ok(next)
    }
}

impl Handler<WorldStream, Shared> for Actor {
    fn ready(
        &mut self,
        source: &mut Source<WorldStream>,
        cx: &mut Context<Shared>,
    ) -> io::Result<Next> {
        cx.state.lock().unwrap().calls += 1;
        self.act(source, cx)
    }

    /// Consumes nothing, whatever it returns.
    fn notified(
        &mut self,
        _: &mut Source<WorldStream>,
        cx: &mut Context<Shared>,
    ) -> io::Result<Next> {
        cx.state.lock().unwrap().slots[self.slot].is_notified = false;
        Ok(Next::Done)
    }

    fn removed(&mut self, token: Token, _: Option<&io::Error>, cx: &mut Context<Shared>) {
        let slot = &mut cx.state.lock().unwrap().slots[self.slot];
        if slot.life.as_ref().is_some_and(|life| life.token == token) {
            *slot = Slot::default();
        }
    }
}

/// Adds a source in a slot that has none.
fn add(cx: &mut Context<Shared>, slot: usize, kind: Kind, interest: Interest) {
    let stream = WorldStream::begin(cx.state, slot, kind);
    let token = cx.add(stream, interest, Actor { slot }).unwrap();
    let slot = &mut cx.state.lock().unwrap().slots[slot];
    assert_eq!(slot.life.as_ref().map(|life| life.token), Some(token));
    slot.interest = interest;
}

impl Run {
    pub fn new(likes: [Like; 2]) -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let trigger =
            if likes[0].is_edge() { tripoll::Trigger::Edge } else { tripoll::Trigger::Level };
        let reactor = Reactor::builder()
            .selector(WorldSelector::new(likes[0], &world))
            .trigger(trigger)
            .budget(Budget::new(OPERATIONS, u32::MAX))
            .build_with(Arc::clone(&world))
            .unwrap();
        Run { world, reactor, likes }
    }

    /// Whether the selector is edge-triggered.
    pub fn is_edge(&self) -> bool {
        self.likes[0].is_edge()
    }

    /// Takes a step. Returns false, and changes nothing, if it is impossible.
    pub fn step(&mut self, action: Action) -> bool {
        let token = |run: &Run, slot: usize| {
            run.world.lock().unwrap().slots[slot].life.as_ref().map(|life| life.token)
        };
        match action {
            Action::Add(slot, interest) | Action::AddAttribute(slot, interest) => {
                if token(self, slot).is_some() {
                    return false;
                }
                let is_stream = matches!(action, Action::Add(..));
                let kind = if is_stream { Kind::Stream } else { Kind::Attribute };
                add(&mut self.reactor.context(), slot, kind, interest);
            }
            Action::Turn(script) => self.turn(script),
            Action::Switch => {
                self.likes.swap(0, 1);
                let selector = Box::new(WorldSelector::new(self.likes[0], &self.world));
                self.reactor.context().switch_to_selector(selector).unwrap();
            }
            Action::Data(slot)
            | Action::Room(slot)
            | Action::End(slot)
            | Action::HangUp(slot)
            | Action::Error(slot)
            | Action::Urgent(slot) => return self.change(slot, action),
            Action::Remove(slot)
            | Action::SetInterest(slot, _)
            | Action::Arm(slot)
            | Action::Notify(slot) => {
                let Some(token) = token(self, slot) else { return false };
                return self.ask(slot, token, action);
            }
        }
        true
    }

    pub fn turn(&mut self, script: Script) {
        self.world.lock().unwrap().script = script;
        self.reactor.turn(Deadline::Now).unwrap();
    }

    /// A change of the kernel's.
    fn change(&mut self, slot: usize, action: Action) -> bool {
        let like = self.likes[0];
        let slot = &mut self.world.lock().unwrap().slots[slot];
        if slot.life.is_none() {
            return false;
        }
        let is_possible = match action {
            Action::Data(_) => slot.unread < 3 && !slot.has_ended,
            Action::Room(_) => !slot.is_writable && !slot.has_hung_up,
            Action::End(_) => !slot.has_ended,
            Action::HangUp(_) => !slot.has_hung_up,
            Action::Urgent(_) => !slot.is_urgent && !slot.has_ended,
            _ => !slot.has_error && slot.interest != Interest::PRIORITY, // see `can_want`
        };
        if !is_possible {
            return false;
        }
        if matches!(action, Action::HangUp(_) | Action::Error(_)) {
            slot.begin_to_show();
        }
        let end = Readiness::READ | Readiness::READ_CLOSED;
        let (fresh, directions) = match action {
            Action::Data(_) => {
                slot.unread += 1;
                (Readiness::READ, READ)
            }
            Action::Room(_) => {
                slot.is_writable = true;
                (Readiness::WRITE, Interest::WRITE)
            }
            Action::End(_) => {
                slot.has_ended = true;
                (end, READ)
            }
            Action::HangUp(_) => {
                (slot.has_hung_up, slot.has_ended) = (true, true);
                (end | Readiness::HANGUP, Interest::all())
            }
            Action::Urgent(_) => {
                slot.is_urgent = true;
                match slot.kind {
                    Kind::Stream => (Readiness::PRIORITY, Interest::PRIORITY),
                    Kind::Attribute => (Readiness::all(), Interest::all()),
                }
            }
            _ => {
                slot.has_error = true;
                (Readiness::ERROR, Interest::all())
            }
        };
        slot.changed(fresh, directions, like);
        true
    }

    /// A call of the user's.
    fn ask(&mut self, slot: usize, token: Token, action: Action) -> bool {
        let mut world = self.world.lock().unwrap();
        let known = &mut world.slots[slot];
        match action {
            Action::SetInterest(_, interest) => {
                if interest == known.interest || !known.can_want(interest) {
                    return false;
                }
                known.interest = interest;
                drop(world);
                self.reactor.context().set_interest(token, interest).unwrap();
            }
            Action::Arm(_) => {
                if !std::mem::take(&mut known.is_disarmed) {
                    return false;
                }
                drop(world);
                self.reactor.context().arm(token).unwrap();
            }
            Action::Notify(_) => {
                if std::mem::replace(&mut known.is_notified, true) {
                    return false;
                }
                drop(world);
                self.reactor.context().notify(token).unwrap();
            }
            _ => {
                *known = Slot::default();
                drop(world);
                self.reactor.context().remove(token).unwrap();
            }
        }
        true
    }
}
