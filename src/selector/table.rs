//! A selector's own table of what was added to it.

use std::io;
use std::os::fd::RawFd;

use crate::sys;

/// Maps each added descriptor to an entry. Descriptors are small and dense, so they are the index.
///
/// `AlreadyExists` and `NotFound` come from here, before the kernel is called, so that they are the
/// same on every backend.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Option<T>>,
}

/// Its first capacity. It doubles, and so is full when other tables are: a power of two.
const FIRST: usize = 16;

impl<T> Table<T> {
    /// Returns an empty table.
    pub fn new() -> Self {
        Table { entries: Vec::with_capacity(FIRST) }
    }

    /// Checks that a descriptor can be inserted.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a negative number. `AlreadyExists` if the descriptor is in the table.
    pub fn check_vacant(&self, fd: RawFd) -> io::Result<()> {
        sys::check_number(fd)?;
        match self.entries.get(fd as usize) {
            Some(Some(_)) => {
                let message = format!("descriptor {fd} is added already; set its interest instead");
                Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
            }
            _ => Ok(()),
        }
    }

    /// Inserts a descriptor, in place of an earlier entry.
    ///
    /// # Panics
    ///
    /// Panics for a negative number: see [`check_vacant`](Self::check_vacant).
    pub fn insert(&mut self, fd: RawFd, entry: T) {
        let index = usize::try_from(fd).expect("a descriptor is not negative");
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(entry);
    }

    /// Returns the entry of a descriptor.
    ///
    /// # Errors
    ///
    /// `NotFound` if the descriptor is not in the table.
    pub fn entry(&mut self, fd: RawFd) -> io::Result<&mut T> {
        usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get_mut(index)?.as_mut())
            .ok_or_else(|| not_found(fd))
    }

    /// Removes a descriptor, and returns its entry.
    ///
    /// # Errors
    ///
    /// `NotFound` if the descriptor is not in the table.
    pub fn remove(&mut self, fd: RawFd) -> io::Result<T> {
        usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get_mut(index)?.take())
            .ok_or_else(|| not_found(fd))
    }

    /// Returns all entries, lowest descriptor first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (RawFd, &mut T)> {
        (0..).zip(&mut self.entries).filter_map(|(fd, entry)| Some((fd, entry.as_mut()?)))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table::new()
    }
}

fn not_found(fd: RawFd) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("descriptor {fd} is not added"))
}
