//! The kernel's own list of an epoll, from `/proc/self/fdinfo`.

use std::fs;
use std::os::fd::RawFd;

use tripoll_trace::masks::mask;

use super::record::KernelEntry;

/// An entry of the kernel's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) fd: RawFd,
    pub(super) events: u32,
    /// The token with which it was added.
    pub(super) data: u64,
}

/// Returns the kernel's list of the epoll `epoll`. `None` if the kernel shows none.
pub(super) fn read(epoll: RawFd) -> Option<Vec<Listed>> {
    parse(&fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).ok()?)
}

/// Parses the lines `tfd: 6 events: 80000019 data: 6 …`.
fn parse(text: &str) -> Option<Vec<Listed>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("tfd:"));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let fd = words.next()?.parse().ok()?;
            let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
            let data = u64::from_str_radix(words.nth(1)?, 16).ok()?;
            Some(Listed { fd, events, data })
        })
        .collect()
}

/// Returns the list as a record. `knows` says whether the table has this entry.
pub(super) fn entries(list: &[Listed], knows: impl Fn(&Listed) -> bool) -> Vec<KernelEntry> {
    let entry = |listed: &Listed| KernelEntry {
        fd: listed.fd,
        mask: mask(listed.events),
        known: knows(listed),
    };
    list.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_descriptor_is_an_entry() {
        let text = "pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1057\n\
                    tfd:        6 events: 80000019 data:         1ffffffff  pos:0 ino:421 sdev:8\n\
                    tfd:       12 events:     2001 data:                6  pos:0 ino:422 sdev:8\n";
        let first = Listed { fd: 6, events: 0x8000_0019, data: 0x1_ffff_ffff };
        let second = Listed { fd: 12, events: 0x2001, data: 6 };
        assert_eq!(parse(text), Some(vec![first, second]));
        assert_eq!(parse("tfd: x\n"), None);
        let entries = entries(&[second], |listed| listed.data == 6);
        assert_eq!((entries[0].mask.as_str(), entries[0].known), ("IN|RDHUP", true));
    }
}
