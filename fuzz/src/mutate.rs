//! Changes of inputs, the same each time.

/// A block of tar.
const BLOCK: usize = 512;
/// No input grows beyond it.
const MOST: usize = 16 << 10;
/// Bytes that parsers look for.
const TELLING: &[u8] = b"\x00\x01\x7f\x80\xff\n ./=-019:@\"{}[],$\\#";

/// Numbers without end, from a seed.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next, less than `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn byte(&mut self) -> u8 {
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.below(256) as u8 }
    }
}

/// One of `inputs` with some changes.
#[must_use]
pub fn mutated(inputs: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = inputs[numbers.below(inputs.len())].clone();
    for _ in 0..=numbers.below(5) {
        let other = &inputs[numbers.below(inputs.len())];
        change(&mut bytes, other, numbers);
        bytes.truncate(MOST);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len() + 1);
    let length = |numbers: &mut Numbers, most: usize| numbers.below(most.clamp(1, 2 * BLOCK) + 1).min(most);
    match numbers.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        1 if at < bytes.len() => bytes[at] = numbers.byte(),
        2 => bytes.insert(at, numbers.byte()),
        3 => bytes.truncate(at),
        // Blocks of tar change their order, or come twice, or not at all.
        4 => swap_blocks(bytes, numbers),
        5 => {
            let length = length(numbers, bytes.len() - at);
            bytes.drain(at..at + length);
        }
        6 => {
            let length = length(numbers, bytes.len() - at);
            let again = bytes[at..at + length].to_vec();
            bytes.splice(at..at, again);
        }
        _ => {
            let from = numbers.below(other.len() + 1);
            let length = length(numbers, other.len() - from);
            let end = (at + numbers.below(2) * length).min(bytes.len());
            bytes.splice(at..end, other[from..from + length].iter().copied());
        }
    }
}

fn swap_blocks(bytes: &mut [u8], numbers: &mut Numbers) {
    let blocks = bytes.len() / BLOCK;
    if blocks > 1 {
        let (one, other) = (numbers.below(blocks) * BLOCK, numbers.below(blocks) * BLOCK);
        for byte in 0..BLOCK {
            bytes.swap(one + byte, other + byte);
        }
    }
}
