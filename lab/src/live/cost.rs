//! What a wait costs under each call, by a model of how the calls work. Nothing here is measured.
//!
//! | call | copied in | copied out | looked at |
//! |---|---|---|---|
//! | `select` | 8 bytes for each 64 numbers, for each set | the same | each watched descriptor, twice if it slept |
//! | `poll` | 8 bytes a descriptor | 2 bytes a descriptor | each watched descriptor, twice if it slept |
//! | `epoll_wait` | nothing | 12 bytes an event (16, except on x86-64) | each ready descriptor |
//! | `epoll_ctl` | 12 bytes a change (16) | nothing | |

use super::record::{Cost, Costs};

/// The size of an event of epoll.
const EVENT: u64 = if cfg!(target_arch = "x86_64") { 12 } else { 16 };

/// What the model needs to know of a wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    /// The descriptors that are watched.
    pub(super) watched: u64,
    /// The largest of them.
    pub(super) highest: u64,
    /// The sets of `select` that are not empty.
    pub(super) sets: u64,
    /// The descriptors that were reported.
    pub(super) reported: u64,
    /// Whether the wait has slept.
    pub(super) slept: bool,
    /// The changes of interest in this turn.
    pub(super) changes: u64,
}

impl Load {
    pub(super) fn costs(self) -> Costs {
        let passes = 1 + u64::from(self.slept);
        let set = 8 * (self.highest + 1).div_ceil(64) * self.sets;
        let looked = self.watched * passes;
        Costs {
            select: Cost { looked, bytes_in: set, out: set, changes: 0 },
            poll: Cost { looked, bytes_in: 8 * self.watched, out: 2 * self.watched, changes: 0 },
            epoll: Cost {
                looked: self.reported,
                bytes_in: EVENT * self.changes,
                out: EVENT * self.reported,
                changes: self.changes,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_table() {
        let load =
            Load { watched: 512, highest: 1_027, sets: 1, reported: 1, slept: true, changes: 2 };
        let Costs { select, poll, epoll } = load.costs();
        assert_eq!((select.bytes_in, select.out, select.looked), (136, 136, 1_024));
        assert_eq!((poll.bytes_in, poll.out), (4_096, 1_024));
        assert_eq!((epoll.looked, epoll.out, epoll.bytes_in), (1, EVENT, 2 * EVENT));
    }
}
