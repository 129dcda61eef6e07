//! Numbers and bytes that follow from a seed.

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of this seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        let [_, _, _, _, bytes @ ..] = self.next_number().to_le_bytes();
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or_default() % bound.max(1)
    }

    /// The size of a file as they are in images: half of them below 1 KiB, one in 4,096 of 2 to 4 MiB, 5 KiB on average.
    pub fn size(&mut self) -> usize {
        let doublings = self.next_number().trailing_zeros().min(12);
        let least = 512_usize << doublings;
        least + self.below(least)
    }
}

/// Bytes that compress to a little less than half.
#[must_use]
pub fn content(numbers: &mut Numbers, size: usize) -> Vec<u8> {
    // Small files are not worth a dictionary of their own.
    let words: Vec<[u8; 8]> = (0..size.clamp(16, 4096) / 8).map(|_| numbers.next_number().to_le_bytes()).collect();
    let mut bytes = Vec::with_capacity(size + 16);
    while bytes.len() < size {
        let number = numbers.next_number();
        let [low, high, rest @ ..] = number.to_le_bytes();
        let word = usize::from(u16::from_le_bytes([low, high])) % words.len();
        bytes.extend_from_slice(&words[word]);
        if number.is_multiple_of(3) {
            bytes.extend_from_slice(&rest);
        }
    }
    bytes.truncate(size);
    bytes
}
