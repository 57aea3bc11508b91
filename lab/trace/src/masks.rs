//! Masks and directions as texts.

use tripoll::selector::Readiness;
use tripoll::{Interest, Trigger};

/// The names of the bits that `poll` and `epoll` share, in the order in which they are written.
const NAMES: &[(u32, &str)] = &[
    (0x001, "IN"),
    (0x002, "PRI"),
    (0x004, "OUT"),
    (0x008, "ERR"),
    (0x010, "HUP"),
    (0x020, "NVAL"),
    (0x2000, "RDHUP"),
    (1 << 28, "EXCLUSIVE"),
    (1 << 30, "ONESHOT"),
    (1 << 31, "ET"),
];

/// Returns the names of the bits of `poll` and `epoll`, `IN|RDHUP|ET`.
pub fn mask(bits: u32) -> String {
    let names = NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join("|")
}

/// Returns the result of a wait for a descriptor, as the call has it: a mask, or the sets of `select`.
pub fn raw(call: &str, readiness: Readiness) -> String {
    if call != "select" {
        return mask(readiness.bits());
    }
    let sets = [(Readiness::READ, "r"), (Readiness::WRITE, "w"), (Readiness::PRIORITY, "e")];
    let found = sets.iter().filter(|(bit, _)| readiness.contains(*bit)).map(|(_, name)| *name);
    found.collect::<Vec<_>>().join("|")
}

/// Returns what a backend asks the kernel for an interest: a mask, or the sets of `select`.
pub fn asked(backend: &str, interest: Interest, trigger: Trigger) -> String {
    if interest.is_empty() {
        return String::new();
    }
    if backend == "select" {
        let sets = [(Interest::READ, "r"), (Interest::WRITE, "w"), (Interest::PRIORITY, "e")];
        let found = sets.iter().filter(|(bit, _)| interest.contains(*bit)).map(|(_, name)| *name);
        return found.collect::<Vec<_>>().join("|");
    }
    let mut bits = u32::from((interest - Interest::HANGUP).bits());
    if interest.contains(Interest::READ) {
        bits |= 0x2000;
    }
    if backend != "poll" {
        bits |= match trigger {
            Trigger::Edge => 1 << 31,
            Trigger::OneShot => 1 << 30,
            _ => 0,
        };
    }
    mask(bits)
}

/// Returns `r`, `w`, `rw` or `-`.
pub const fn directions(r: bool, w: bool) -> &'static str {
    match (r, w) {
        (true, true) => "rw",
        (true, false) => "r",
        (false, true) => "w",
        (false, false) => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_mask_have_the_names_of_the_manual() {
        assert_eq!(mask(0x8000_2001), "IN|RDHUP|ET");
        assert_eq!(asked("epoll", Interest::READ, Trigger::Edge), "IN|RDHUP|ET");
        assert_eq!(asked("poll", Interest::READ | Interest::WRITE, Trigger::Level), "IN|OUT|RDHUP");
        assert_eq!(asked("select", Interest::WRITE | Interest::PRIORITY, Trigger::Level), "w|e");
        assert_eq!(asked("epoll", Interest::NONE, Trigger::Edge), "");
        assert_eq!(raw("select", Readiness::READ), "r");
        assert_eq!(raw("poll", Readiness::READ | Readiness::HANGUP), "IN|HUP");
    }
}
