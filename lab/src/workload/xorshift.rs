//! Random numbers for the workloads.

/// Marsaglia's xorshift generator: the same sequence in every run, for a few instructions a number.
pub(crate) struct Xorshift(u64);

impl Default for Xorshift {
    fn default() -> Self {
        Xorshift(0x9E37_79B9_7F4A_7C15)
    }
}

impl Xorshift {
    /// Returns a generator whose sequence follows from `seed`.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let Xorshift(start) = Xorshift::default();
        // It must not begin with zero.
        let mut random = Xorshift(start ^ seed.rotate_left(32) | 1);
        // Neighbouring seeds begin alike.
        for _ in 0..16 {
            random.below(1);
        }
        random
    }

    /// Returns a number below `bound`.
    #[inline]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * bound as u64) >> 32) as usize
    }
}
