//! A connection that sends requests, or is silent.

use std::io;
use std::time::{Duration, Instant};

use tripoll::Context;
use tripoll::net::{CloseReason, Closed, Connect, Connection, Protocol, Wire};

use super::answer::{Answer, AnswerReader};
use super::pace;
use super::state::State;
use super::tally::UnderWay;

/// So many connections are being made at a time.
pub(super) const CONNECTING: usize = 100;
/// A connection that was lost is made again after so long.
const PAUSE: Duration = Duration::from_millis(20);

struct Client {
    slot: usize,
    reader: AnswerReader,
}

/// Makes a connection.
fn connect(slot: usize, cx: &mut Context<'_, State>) {
    let load = &cx.state.load;
    let (address, client) = (load.address.clone(), Client { slot, reader: load.ask.reader() });
    let connection = Connection::new(client)
        .close_within(Duration::ZERO)
        .linger(Duration::ZERO)
        .write_timeout(Duration::MAX);
    Connect::to(address).serve(connection, cx);
}

/// Begins to make one more connection, if there are any left.
pub(super) fn begin_one(cx: &mut Context<'_, State>) {
    let number = cx.state.begun;
    if number < cx.state.slots.len() {
        cx.state.begun += 1;
        connect(number, cx);
    }
}

impl Client {
    fn is_active(&self, state: &State) -> bool {
        self.slot < state.load.active
    }

    /// Sends the next request that is due, if none is under way.
    fn send(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) {
        let state = &mut *cx.state;
        let slot = &mut state.slots[self.slot];
        let Some(schedule) = state.schedule else { return };
        if slot.under_way.is_some() || slot.sent == slot.due {
            return;
        }
        let due = schedule.due(schedule.number(self.slot, slot.sent));
        slot.under_way = Some(UnderWay { due, sent: Instant::now() });
        slot.sent += 1;
        wire.write(&state.request);
        wire.set_deadline(Some(state.load.timeout));
    }

    /// Notes an answer, and sends the next request.
    fn answered(&mut self, answer: Answer, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) {
        let state = &mut *cx.state;
        match state.slots[self.slot].under_way.take() {
            Some(under_way) => state.tally.note_answer(answer, under_way),
            None => state.tally.errors.wrong += 1,
        }
        wire.set_deadline(None);
        match answer {
            Answer::Wrong => wire.abort(),
            _ => self.send(wire, cx),
        }
        pace::finish_if_done(cx);
    }
}

impl Protocol<State> for Client {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) -> io::Result<()> {
        let slot = &mut cx.state.slots[self.slot];
        slot.token = Some(wire.token());
        if !slot.was_open {
            slot.was_open = true;
            cx.state.opened += 1;
            begin_one(cx);
            pace::start_if_all_are_open(cx);
        }
        self.send(wire, cx);
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, State>,
    ) -> io::Result<usize> {
        if cx.state.slots[self.slot].under_way.is_none() {
            // Bytes that were not asked for.
            self.answered(Answer::Wrong, wire, cx);
            return Ok(data.len());
        }
        let (used, answer) = self.reader.read(data, &cx.state.request);
        if let Some(answer) = answer {
            self.answered(answer, wire, cx);
        }
        Ok(used)
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        _: &[u8],
        cx: &mut Context<'_, State>,
    ) -> io::Result<()> {
        if let Some(answer) = self.reader.end() {
            let state = &mut *cx.state;
            if let Some(under_way) = state.slots[self.slot].under_way.take() {
                state.tally.note_answer(answer, under_way);
            }
            pace::finish_if_done(cx);
        }
        wire.close();
        Ok(())
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) -> io::Result<()> {
        let state = &mut *cx.state;
        if let Some(under_way) = state.slots[self.slot].under_way.take() {
            state.tally.errors.timed_out += 1;
            state.tally.note_latency(under_way.due);
        }
        wire.abort();
        Ok(())
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) -> io::Result<()> {
        self.send(wire, cx);
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, State>) {
        let is_active = self.is_active(cx.state);
        let state = &mut *cx.state;
        if state.is_over {
            return;
        }
        let slot = &mut state.slots[self.slot];
        slot.token = None;
        if let Some(under_way) = slot.under_way.take() {
            state.tally.errors.note_lost(&closed.reason);
            state.tally.note_latency(under_way.due);
        }
        match &closed.reason {
            CloseReason::ConnectFailed(error) if !slot.was_open => {
                let message = format!("cannot connect: {error}");
                cx.fail(io::Error::new(error.kind(), message));
                return;
            }
            CloseReason::ConnectFailed(error) => state.tally.errors.note_not_connected(error),
            _ if is_active => state.tally.reconnects += 1,
            _ => state.tally.errors.silent_closed += 1,
        }
        pace::finish_if_done(cx);
        if is_active && !cx.state.is_over {
            let slot = self.slot;
            cx.set_timer(cx.now() + PAUSE, move |cx| connect(slot, cx));
        }
    }
}
