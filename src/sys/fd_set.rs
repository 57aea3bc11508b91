//! A set of descriptors as `select` wants it: one bit each.

use std::os::fd::RawFd;

/// Our own bit set instead of `libc::fd_set`, which ends at 1,024 and is written out of bounds
/// beyond. The Linux call takes a set of any size; `nfds` says how large it is.
///
/// In a set that is only inserted into and removed from, the last word is not zero: so the highest
/// descriptor falls again when it is removed, and an empty set has no words. (A set that the kernel
/// has answered in may end in zeros.)
#[derive(Debug, Default, Clone)]
pub(crate) struct FdSet {
    words: Vec<u64>,
}

/// Returns the index of the word and the bit of a descriptor.
fn place(fd: RawFd) -> (usize, u64) {
    debug_assert!(fd >= 0, "checked where descriptors enter the crate");
    (fd as usize / 64, 1 << (fd % 64))
}

impl FdSet {
    pub(crate) fn insert(&mut self, fd: RawFd) {
        let (word, bit) = place(fd);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }

    pub(crate) fn remove(&mut self, fd: RawFd) {
        let (word, bit) = place(fd);
        if let Some(found) = self.words.get_mut(word) {
            *found &= !bit;
        }
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    pub(crate) fn contains(&self, fd: RawFd) -> bool {
        let (word, bit) = place(fd);
        self.words.get(word).is_some_and(|found| found & bit != 0)
    }

    /// Becomes a copy of `other`, in the memory it already has.
    pub(crate) fn copy_from(&mut self, other: &FdSet) {
        self.words.clone_from(&other.words);
    }

    /// Returns the number of descriptors in the set.
    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns the words, lowest descriptors first.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Returns the highest descriptor in the set plus one: the `nfds` of `select(2)`.
    pub(crate) fn nfds(&self) -> i32 {
        match self.words.last() {
            None => 0,
            Some(last) => (self.words.len() * 64) as i32 - last.leading_zeros() as i32,
        }
    }

    /// The set's memory for the kernel, at least `nfds` bits of it; null when the set is empty, so
    /// that the kernel need not look.
    pub(super) fn for_kernel(&mut self, nfds: i32) -> *mut libc::fd_set {
        if self.words.is_empty() {
            return std::ptr::null_mut();
        }
        self.words.resize((nfds as usize).div_ceil(64), 0);
        self.words.as_mut_ptr().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::FdSet;

    #[test]
    fn the_highest_descriptor_shrinks_again() {
        let mut bits = FdSet::default();
        assert_eq!(bits.nfds(), 0);
        for fd in [0, 63, 64, 5_000] {
            bits.insert(fd);
            assert_eq!(bits.nfds(), fd + 1);
            assert!(bits.contains(fd));
        }
        bits.remove(5_000);
        assert_eq!(bits.nfds(), 65);
        bits.remove(0);
        bits.remove(64);
        assert_eq!(bits.nfds(), 64);
        bits.remove(63);
        bits.remove(63);
        assert_eq!(bits.nfds(), 0);
        assert!(!bits.contains(9_999));
    }
}
