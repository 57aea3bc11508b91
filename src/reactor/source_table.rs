//! The table of sources, by the index of their tokens.

use super::source_entry::SourceEntry;
use crate::selector::Token;

/// The entries of all sources. Indices of sources that were removed are given again, the last one first.
///
/// Unlike in a slab, a place need not be asked whether it is vacant: its generation tells whether it is
/// the one of a token, and a vacant one has no interest. So an event asks once, and not twice.
#[derive(Debug, Default)]
pub(super) struct SourceTable {
    entries: Vec<SourceEntry>,
    vacant: Vec<u32>,
}

impl SourceTable {
    /// Returns the number of sources.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// Returns the index of the next source.
    pub(super) fn next_index(&self) -> u32 {
        self.vacant.last().copied().unwrap_or(self.entries.len() as u32)
    }

    /// Adds a source, at [`next_index`](Self::next_index).
    pub(super) fn add(&mut self, entry: SourceEntry) {
        match self.vacant.pop() {
            Some(index) => self.entries[index as usize] = entry,
            None => self.entries.push(entry),
        }
    }

    /// Removes a source, and returns its entry.
    pub(super) fn remove(&mut self, token: Token) -> Option<SourceEntry> {
        let entry = std::mem::replace(self.get_mut(token)?, SourceEntry::VACANT);
        self.vacant.push(token.index());
        Some(entry)
    }

    pub(super) fn get(&self, token: Token) -> Option<&SourceEntry> {
        let entry = self.entries.get(token.index() as usize)?;
        (entry.generation == token.generation() && !entry.is_vacant()).then_some(entry)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut SourceEntry> {
        self.place(token).filter(|entry| !entry.is_vacant())
    }

    /// Returns the place of a token, which may be vacant: then it has no interest. It is the one of the
    /// first source of the process after that was removed, or of a token that was made up.
    #[inline]
    pub(super) fn place(&mut self, token: Token) -> Option<&mut SourceEntry> {
        let entry = self.entries.get_mut(token.index() as usize)?;
        (entry.generation == token.generation()).then_some(entry)
    }

    /// Returns the token of the source with this index.
    pub(super) fn token(&self, index: u32) -> Option<Token> {
        let entry = self.entries.get(index as usize)?;
        (!entry.is_vacant()).then(|| Token::new(index, entry.generation))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &SourceEntry)> {
        let all = (0..).zip(&self.entries).filter(|(_, entry)| !entry.is_vacant());
        all.map(|(index, entry)| (Token::new(index, entry.generation), entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SourceEntry> {
        self.entries.iter_mut().filter(|entry| !entry.is_vacant())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(generation: u32) -> SourceEntry {
        SourceEntry { generation, fd: 7, ..SourceEntry::VACANT }
    }

    #[test]
    fn a_removed_source_is_not_found_and_its_index_is_given_again() {
        let mut table = SourceTable::default();
        for generation in 0..4 {
            assert_eq!(table.next_index(), generation);
            table.add(entry(generation));
        }
        let tokens = |table: &SourceTable| table.iter().map(|(token, _)| token).collect::<Vec<_>>();
        // Vacant places have generation 0, as the first source has.
        for index in [0, 2] {
            let token = Token::new(index, index);
            assert!(table.remove(token).is_some());
            for token in [token, Token::new(index, 0)] {
                assert!(table.get(token).is_none() && table.get_mut(token).is_none());
                assert!(table.remove(token).is_none(), "{token:?} is removed once");
                assert!(table.place(token).is_none_or(|place| place.effective.is_empty()));
            }
            assert_eq!(table.token(index), None);
        }
        assert_eq!((table.len(), table.next_index()), (2, 2));
        assert_eq!(tokens(&table), [Token::new(1, 1), Token::new(3, 3)]);
        assert_eq!(table.iter_mut().count(), 2);

        table.add(entry(9));
        assert!(table.get(Token::new(2, 9)).is_some() && table.get(Token::new(2, 2)).is_none());
        assert_eq!((table.len(), table.next_index()), (3, 0));
    }

    #[test]
    fn an_entry_is_as_small_as_it_says() {
        assert_eq!(size_of::<SourceEntry>(), 20);
    }
}
