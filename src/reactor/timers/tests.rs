//! Tests of the timers, apart from a reactor.

use super::heap::{CHILDREN, FEW, MOVES};
use super::*;
use std::time::Duration;

/// Takes all timers that are due.
fn take_due<T>(timers: &mut Timers<T>) -> Vec<T> {
    let mut values = Vec::new();
    while let Some(due) = timers.next_due() {
        let Due::Timer(id) = due else { panic!("{due:?}") };
        values.extend(timers.take(id));
    }
    values
}

#[test]
fn timers_fire_in_order_and_cancelled_ones_do_not() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut timers = Timers::new(start);
    // A fixed shuffle of 0..1000, each instant twice.
    let ids: Vec<_> = (0..1_000_u64)
        .map(|i| (i, timers.set(at(i * 7_919 % 500), (i * 7_919 % 500, i))))
        .collect();
    let mut expected: Vec<_> = Vec::new();
    for (i, id) in ids {
        let what = (i * 7_919 % 500, i);
        if i % 3 == 0 {
            assert_eq!(timers.take(id), Some(what));
            assert_eq!(timers.take(id), None, "an id is valid once");
        } else {
            expected.push(what);
        }
    }
    expected.sort_unstable();
    assert_eq!(timers.len(), expected.len());

    let mut fired = Vec::new();
    for ms in 0..500 {
        timers.expire(at(ms));
        fired.extend(take_due(&mut timers));
    }
    assert_eq!(fired, expected);
    assert_eq!(timers.next(), None);
}

/// Few leave the heap one by one, and many at once. Both ways keep the order, and what is left is a
/// heap again, from which each can be cancelled.
#[test]
fn however_many_are_due_they_come_in_order_and_the_rest_stays() {
    const ALIVE: u64 = 2_000;
    let start = Instant::now();
    let at = |i: u64| start + Duration::from_millis(1_000) - Duration::from_millis(i);
    for share in [1, 7, 8, 9, 61, 62, 63, 64, 500, 1_999, 2_000] {
        let mut timers = Timers::new(start);
        let place = |i: u64| i * 7_919 % ALIVE;
        let ids: Vec<_> = (0..ALIVE).map(|i| timers.set(at(place(i)), place(i))).collect();
        timers.expire(at(ALIVE - share));
        let fired: Vec<_> = take_due(&mut timers);
        assert!(fired.iter().copied().eq((ALIVE - share..ALIVE).rev()), "{share}: {fired:?}");
        let left = (share < ALIVE).then(|| at(ALIVE - share - 1));
        assert_eq!(timers.next(), left);
        for id in ids {
            timers.take(id);
        }
        assert_eq!((timers.len(), timers.heap.len()), (0, 0));
    }
}

#[test]
fn what_is_due_has_left_the_heap_however_many_it_is() {
    let now = Instant::now();
    for count in [1, FEW, FEW + 1, 100] {
        let mut timers = Timers::new(now);
        let ids: Vec<_> = (0..count).map(|i| timers.set(now, i)).collect();
        timers.expire(now);
        let due: Vec<_> = std::iter::from_fn(|| timers.next_due()).collect();
        assert!(due.into_iter().eq(ids.iter().copied().map(Due::Timer)));
        assert_eq!((timers.next(), timers.len()), (None, count));
        // So each can be set again, and only once.
        let later = now + Duration::from_secs(1);
        for &id in &ids {
            timers.set_again(id, later);
            timers.set_again(id, now);
        }
        assert_eq!((timers.next(), timers.heap.len()), (Some(later), count));
    }
}

#[test]
fn each_item_comes_after_its_parent_whatever_is_removed() {
    let start = Instant::now();
    let mut timers = Timers::new(start);
    let mut ids: VecDeque<TimerId> = VecDeque::new();
    let mut random = 1_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    for _ in 0..20_000 {
        let at = start + Duration::from_nanos(next(1_000));
        ids.push_back(timers.set(at, ()));
        if ids.len() > 60 {
            let id = ids.swap_remove_back(next(60) as usize).unwrap();
            assert!(timers.take(id).is_some());
        }
        let keys: Vec<_> = timers.heap.iter().map(HeapItem::key).collect();
        let is_heap = (1..keys.len()).all(|child| keys[(child - 1) / CHILDREN] < keys[child]);
        assert!(is_heap, "{keys:?}");
    }
}

#[test]
fn a_million_cancelled_timers_leave_no_memory_behind() {
    let start = Instant::now();
    let mut timers = Timers::new(start);
    let at = start + Duration::from_secs(3_600);
    for _ in 0..1_000_000 {
        let id = timers.set(at, ());
        timers.take(id);
    }
    assert_eq!(timers.len(), 0);
    assert!(timers.heap.capacity() < 16 && timers.timers.capacity() < 16);
}

#[test]
fn among_a_million_timers_each_call_makes_few_steps_and_none_allocates() {
    const ALIVE: u64 = 1_000_000;
    let start = Instant::now();
    // Spread by a multiplication: neither in order nor against it.
    let at = |i: u64| start + Duration::from_nanos(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    let mut timers = Timers::new(start);
    let mut ids: Vec<_> = (0..ALIVE).map(|i| timers.set(at(i), i)).collect();
    let sizes = |timers: &Timers<u64>| (timers.heap.capacity(), timers.timers.capacity());
    let before = sizes(&timers);
    // The depth of the heap is ten: four to the tenth is 1,048,576. And the item itself is put.
    let mut most = 0;
    let mut steps = |call: &mut dyn FnMut()| {
        let before = MOVES.get();
        call();
        most = most.max(MOVES.get() - before);
    };
    for i in 0..ALIVE {
        let id = &mut ids[(i.wrapping_mul(7_919) % ALIVE) as usize];
        steps(&mut || assert!(timers.take(*id).is_some()));
        steps(&mut || *id = timers.set(at(ALIVE + i), i));
    }
    assert!(most <= 11, "{most} steps");
    assert_eq!(timers.len() as u64, ALIVE);
    assert_eq!(sizes(&timers), before, "a cancelled timer leaves room for the next");
    for id in ids {
        assert!(timers.take(id).is_some());
    }
    assert_eq!((timers.len(), timers.heap.len(), timers.next()), (0, 0, None));
}

#[test]
fn a_postponed_deadline_moves_nothing_and_comes_at_its_last_time() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut timers = Timers::<()>::new(start);
    for source in 0..100 {
        timers.set_deadline(source, Slot::Handler, Some(at(10)));
    }
    let moves = MOVES.get();
    for ms in (11..20).chain([15]) {
        timers.set_deadline(7, Slot::Handler, Some(at(ms)));
    }
    assert_eq!(MOVES.get(), moves);
    assert_eq!(timers.deadline(7, Slot::Handler), Some(at(15)));
    assert_eq!((timers.deadline(7, Slot::User), timers.next()), (None, Some(at(10))));

    timers.expire(at(14));
    let due: Vec<_> = std::iter::from_fn(|| timers.next_due()).collect();
    assert!(due.iter().all(|due| *due != Due::Deadline(7, Slot::Handler)) && due.len() == 99);
    assert_eq!((timers.len(), timers.next()), (1, Some(at(15))));
    timers.expire(at(15));
    assert_eq!(timers.next_due(), Some(Due::Deadline(7, Slot::Handler)));
    assert_eq!((timers.next_due(), timers.len()), (None, 0));
}

/// Its place among others is found when it is reached: as if it were set then.
#[test]
fn postponed_deadlines_come_in_order_however_late_the_turn_is() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    for others in [0, 100] {
        for turns in [vec![2, 60], vec![60]] {
            let mut timers = Timers::new(start);
            for (source, until) in [(0, 40), (1, 50), (2, 50)] {
                timers.set_deadline(source, Slot::User, Some(at(1)));
                timers.set_deadline(source, Slot::User, Some(at(until)));
            }
            let ids = [30, 50].map(|ms| timers.set(at(ms), ()));
            (0..others).for_each(|_| _ = timers.set(at(55), ()));
            let mut due = Vec::new();
            for ms in turns {
                timers.expire(at(ms));
                while let Some(next) = timers.next_due() {
                    if let Due::Timer(id) = next {
                        timers.take(id);
                    }
                    if !matches!(next, Due::Timer(id) if !ids.contains(&id)) {
                        due.push(next);
                    }
                }
            }
            let [first, second] = ids.map(Due::Timer);
            let deadline = |source| Due::Deadline(source, Slot::User);
            assert_eq!(due, [first, deadline(0), second, deadline(1), deadline(2)]);
        }
    }
}

#[test]
fn a_deadline_that_is_due_can_be_removed_and_set_again() {
    let start = Instant::now();
    let later = start + Duration::from_secs(1);
    let mut timers = Timers::<()>::new(start);
    for source in 0..3 {
        timers.set_deadline(source, Slot::User, Some(start));
    }
    timers.expire(start);
    assert_eq!(timers.next_due(), Some(Due::Deadline(0, Slot::User)));
    timers.set_deadline(1, Slot::User, None);
    timers.set_deadline(2, Slot::User, Some(later));
    assert_eq!((timers.next_due(), timers.len()), (None, 1));
    assert_eq!((timers.next(), timers.deadline(2, Slot::User)), (Some(later), Some(later)));
}

#[test]
fn a_timer_in_the_place_of_one_that_was_due_is_not_due() {
    let start = Instant::now();
    let later = start + Duration::from_secs(1);
    let mut timers = Timers::new(start);
    let [first, second] = [1, 2].map(|value| timers.set(start, value));
    timers.expire(start);
    assert_eq!(timers.next_due(), Some(Due::Timer(first)));
    assert_eq!(timers.take(second), Some(2)); // cancelled by the first, say
    let third = timers.set(later, 3);
    assert_eq!(third.slot, second.slot);
    assert_eq!(timers.next_due(), None);
    timers.expire(later);
    assert_eq!(timers.next_due(), Some(Due::Timer(third)));
}

/// Each is numbered, and the numbers end. Then they begin again, and the order of those due at the same
/// instant stays.
#[test]
fn the_order_of_equal_instants_outlasts_the_numbers() {
    let start = Instant::now();
    let soon = start + Duration::from_millis(1);
    let mut timers = Timers::new(start);
    timers.order = u32::MAX - 50;
    let ids: Vec<_> = (0..100).map(|i| timers.set(soon, i)).collect();
    assert_eq!(timers.order, 100);
    for id in ids.iter().skip(1).step_by(2) {
        assert!(timers.take(*id).is_some(), "each is where it believes to be");
    }
    timers.expire(soon);
    assert!(take_due(&mut timers).into_iter().eq((0..100).step_by(2)));
}

/// Random calls, and beside them the plainest list of what is set.
#[test]
fn timers_and_deadlines_are_due_when_a_plain_list_says_so() {
    const SOURCES: u64 = 40;
    let start = Instant::now();
    let at = |ns: u64| start + Duration::from_nanos(ns);
    let mut random = 1_u64;
    let mut below = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % n
    };
    let mut timers = Timers::new(start);
    let mut list: Vec<(Due, u64)> = Vec::new();
    let mut now = 0;
    for round in 0..20_000 {
        let (source, time) = (below(SOURCES) as u32, now + below(400));
        let slot = if below(2) == 0 { Slot::User } else { Slot::Handler };
        let deadline = Due::Deadline(source, slot);
        match below(8) {
            0 => list.push((Due::Timer(timers.set(at(time), round)), time)),
            1 if !list.is_empty() => match list.swap_remove(below(list.len() as u64) as usize).0 {
                Due::Timer(id) => assert!(timers.take(id).is_some()),
                Due::Deadline(source, slot) => timers.set_deadline(source, slot, None),
            },
            // Now and then many are due at once.
            2 => {
                now += if below(50) == 0 { 300 } else { below(12) };
                timers.expire(at(now));
                let mut due: Vec<_> = std::iter::from_fn(|| timers.next_due()).collect();
                for due in &due {
                    if let Due::Timer(id) = due {
                        assert!(timers.take(*id).is_some());
                    }
                }
                let mut expected: Vec<_> = list.extract_if(.., |(_, at)| *at <= now).collect();
                let mut last = 0;
                for due in due.drain(..) {
                    let place = expected.iter().position(|(expected, _)| *expected == due);
                    let place = place.unwrap_or_else(|| panic!("{due:?} is not due"));
                    let at = expected.swap_remove(place).1;
                    assert!(last <= at, "{due:?} of {at} comes after one of {last}");
                    last = at;
                }
                assert_eq!(expected, []);
            }
            _ => {
                timers.set_deadline(source, slot, Some(at(time)));
                list.retain(|(due, _)| *due != deadline);
                list.push((deadline, time));
            }
        }
        assert_eq!(timers.len(), list.len());
        let of_list = list.iter().find(|(due, _)| *due == deadline).map(|(_, ns)| at(*ns));
        assert_eq!(timers.deadline(source, slot), of_list);
        assert_eq!(timers.next().is_some(), !list.is_empty());
        assert!(timers.next() <= list.iter().map(|(_, ns)| at(*ns)).min());
    }
}
