//! A selector's own table of what it was given.

use std::io;
use std::os::fd::RawFd;

use crate::sys;

/// Descriptor → entry. Descriptors are small and dense, so they are the index.
///
/// `AlreadyExists` and `NotFound` come from here, before the kernel is asked, so that they are the
/// same on every backend and in every build.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Vec<Option<T>>,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Table { entries: Vec::new() }
    }

    /// Refuses a number that is no descriptor, or that is in the table already.
    pub(super) fn check_vacant(&self, fd: RawFd) -> io::Result<()> {
        sys::check_number(fd)?;
        match self.entries.get(fd as usize) {
            Some(Some(_)) => {
                let message = format!("descriptor {fd} is added already; set its interest instead");
                Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
            }
            _ => Ok(()),
        }
    }

    /// Enters a descriptor that was found vacant.
    pub(super) fn insert(&mut self, fd: RawFd, entry: T) {
        let index = fd as usize;
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(entry);
    }

    pub(super) fn entry(&mut self, fd: RawFd) -> io::Result<&mut T> {
        usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get_mut(index)?.as_mut())
            .ok_or_else(|| not_found(fd))
    }

    pub(super) fn remove(&mut self, fd: RawFd) -> io::Result<T> {
        usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get_mut(index)?.take())
            .ok_or_else(|| not_found(fd))
    }

    /// All entries, lowest descriptor first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (RawFd, &mut T)> {
        (0..).zip(&mut self.entries).filter_map(|(fd, entry)| Some((fd, entry.as_mut()?)))
    }
}

fn not_found(fd: RawFd) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("descriptor {fd} was never added, or removed"))
}
