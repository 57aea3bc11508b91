//! Back-pressure of one direction, without sockets: when the side that receives pauses and resumes.

/// When so many bytes are on their way from one side to the other, the receiving side pauses: as many
/// as it may read in one turn of the loop.
pub const MOST_ON_THE_WAY: usize = 256 << 10;

/// One direction: what one side has received, and the other one has not written.
///
/// The pause is decided where the bytes are received, and not when they are written. A message between
/// two handlers takes a turn, in which much more can be received.
#[derive(Debug, Default)]
pub struct Flow {
    on_the_way: usize,
    /// The write buffer of the other side is above its mark.
    is_blocked: bool,
    is_paused: bool,
}

impl Flow {
    /// Notes bytes that were received and are passed on. Returns whether the side must pause.
    pub fn receive(&mut self, count: usize) -> bool {
        self.on_the_way += count;
        self.is_paused = self.is_blocked || self.on_the_way >= MOST_ON_THE_WAY;
        self.is_paused
    }

    /// Notes that bytes were written, and whether there is room for more. Returns whether the receiving
    /// side must resume.
    pub fn write(&mut self, count: usize, has_room: bool) -> bool {
        self.on_the_way -= count;
        self.is_blocked = !has_room;
        self.resumes()
    }

    /// Notes that there is room again. Returns whether the receiving side must resume.
    pub fn unblock(&mut self) -> bool {
        self.is_blocked = false;
        self.resumes()
    }

    fn resumes(&mut self) -> bool {
        let resumes = self.is_paused && !self.is_blocked && self.on_the_way == 0;
        self.is_paused &= !resumes;
        resumes
    }
}
