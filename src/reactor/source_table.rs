//! The table of sources, by the index of their tokens.

use slab::Slab;

use super::source_entry::SourceEntry;
use crate::selector::Token;

/// The entries of all sources. The index of a source that was removed is given again, with another
/// generation.
#[derive(Debug, Default)]
pub(super) struct SourceTable {
    entries: Slab<SourceEntry>,
}

impl SourceTable {
    /// Returns the number of sources.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the index of the next source.
    pub(super) fn next_index(&self) -> u32 {
        self.entries.vacant_key() as u32
    }

    /// Adds a source, at [`next_index`](Self::next_index).
    pub(super) fn add(&mut self, entry: SourceEntry) {
        self.entries.insert(entry);
    }

    /// Removes a source, and returns its entry.
    pub(super) fn remove(&mut self, token: Token) -> Option<SourceEntry> {
        self.get(token)?;
        Some(self.entries.remove(token.index() as usize))
    }

    pub(super) fn get(&self, token: Token) -> Option<&SourceEntry> {
        let entry = self.entries.get(token.index() as usize)?;
        (entry.generation == token.generation()).then_some(entry)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut SourceEntry> {
        let entry = self.entries.get_mut(token.index() as usize)?;
        (entry.generation == token.generation()).then_some(entry)
    }

    /// Returns the token of the source with this index.
    pub(super) fn token(&self, index: u32) -> Option<Token> {
        let entry = self.entries.get(index as usize)?;
        Some(Token::new(index, entry.generation))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &SourceEntry)> {
        let token = |index, entry: &SourceEntry| Token::new(index as u32, entry.generation);
        self.entries.iter().map(move |(index, entry)| (token(index, entry), entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SourceEntry> {
        self.entries.iter_mut().map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::io_state::Settings;
    use super::super::mode::SourceKind;
    use super::super::source_entry::Status;
    use super::*;
    use crate::selector::Interest;

    fn entry(generation: u32) -> SourceEntry {
        SourceEntry {
            generation,
            fd: 7,
            effective: Interest::NONE,
            ready: Interest::NONE,
            settings: Settings::NONE,
            reported: 0,
            types: 0,
            status: Status::empty(),
            kind: SourceKind::empty(),
            is_queued: false,
        }
    }

    #[test]
    fn a_removed_source_is_not_found_and_its_index_is_given_again() {
        let mut table = SourceTable::default();
        for generation in 0..4 {
            assert_eq!(table.next_index(), generation);
            table.add(entry(generation));
        }
        let tokens = |table: &SourceTable| table.iter().map(|(token, _)| token).collect::<Vec<_>>();
        for index in [0, 2] {
            let token = Token::new(index, index);
            assert!(table.remove(token).is_some());
            for token in [token, Token::new(index, 0)] {
                assert!(table.get(token).is_none() && table.get_mut(token).is_none());
                assert!(table.remove(token).is_none(), "{token:?} is removed once");
            }
            assert_eq!(table.token(index), None);
        }
        assert_eq!((table.len(), table.next_index()), (2, 2));
        assert_eq!(tokens(&table), [Token::new(1, 1), Token::new(3, 3)]);
        assert_eq!(table.iter_mut().count(), 2);

        table.add(entry(9));
        assert!(table.get(Token::new(2, 9)).is_some() && table.get(Token::new(2, 2)).is_none());
        assert_eq!((table.len(), table.next_index()), (3, 0));
        assert!(table.get(Token::new(7, 9)).is_none());
    }

    #[test]
    fn an_entry_is_as_small_as_it_says() {
        assert_eq!(size_of::<Option<SourceEntry>>(), 24);
    }
}
