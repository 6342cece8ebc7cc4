//! Inputs made from a corpus: seeded, so that a failure can be repeated.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Longest input; what is longer is cut.
const LONGEST_BYTES: usize = 16 * 1024;
/// Pieces that mean something to one of the formats.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\\\n",
    b"\\\\\n",
    b"\\",
    b"[Service]\n",
    b"]",
    b"[",
    b"=",
    b"#",
    b";",
    b"\0",
    b"\t",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"{{",
    b"}}",
    b"<%=",
    b"%>",
    b"{{{{",
    b"%i",
    b"%",
    b"null",
    b"\"options\":[",
    b"\\u0000",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xc3\xa9",
    b"\xff",
    b"1e999",
    b"-1",
    b"18446744073709551616",
    b"[[[[[[[[[[[[",
    b"ExecStart=",
    b"Environment=",
    b"TimeoutStartSec=",
    b"desiredState",
    b"Conflicts=*",
];

/// An endless supply of inputs.
#[derive(Debug)]
pub struct Inputs {
    random: StdRng,
    corpus: Vec<Vec<u8>>,
}

impl Inputs {
    /// Inputs that are made from `corpus`; the same seed gives the same ones.
    #[must_use]
    pub fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), corpus }
    }

    /// The next input.
    pub fn make(&mut self) -> Vec<u8> {
        let mut input = self.corpus.choose(&mut self.random).cloned().unwrap_or_default();
        for _ in 0..self.random.random_range(1..=6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        match self.random.random_range(0..7) {
            0 => input.insert(at, self.random.random()),
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
            2 | 3 => {
                let word = WORDS.choose(&mut self.random).copied().unwrap_or_default();
                input.splice(at..at, word.iter().copied());
            }
            4 => {
                let end = (at + self.random.random_range(1..32)).min(input.len());
                input.drain(at..end);
            }
            5 => {
                let end = (at + self.random.random_range(1..64)).min(input.len());
                let piece = input[at..end].to_vec();
                let times = if self.random.random_ratio(1, 50) { 200 } else { 1 };
                input.splice(at..at, piece.repeat(times));
            }
            _ => {
                let other = self.corpus.choose(&mut self.random).cloned().unwrap_or_default();
                let from = self.random.random_range(0..=other.len());
                let until = (from + self.random.random_range(0..128)).min(other.len());
                input.splice(at..at, other[from..until].iter().copied());
            }
        }
    }
}
