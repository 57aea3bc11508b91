//! Bytes and numbers that look random and are the same in each run.

use std::sync::LazyLock;

/// Numbers that look random and are the same in each run.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Returns bytes that look random and depend on the seed alone.
pub fn known_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = Vec::with_capacity(length + 4);
    while bytes.len() < length {
        bytes.extend_from_slice(&(dice.below(1 << 31) as u32).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Returns up to 50 MiB whose order shows when some are lost, doubled or swapped.
pub fn pattern(len: usize) -> &'static [u8] {
    const PERIOD: u32 = 65_521; // a prime, so that no buffer is a multiple of it
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let period = (0..PERIOD).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
        period.collect::<Vec<_>>().repeat((50 << 20) / PERIOD as usize + 1)
    });
    &BYTES[..len]
}
