//! A fast digest that is the same in every version and on every machine.
//!
//! It tells equal content from different content of one SOP Instance UID; it is no defence
//! against someone who builds a collision, and nothing is decided by it but a finding.

const K1: u64 = 0x9e37_79b9_7f4a_7c15;
const K2: u64 = 0xd6e8_feb8_6659_fd93;

/// A digest under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ K1)
    }

    /// Adds bytes: words of eight, the last one filled with zeros, then the length.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let mut eight = [0; 8];
            eight.copy_from_slice(word);
            self.mix(u64::from_le_bytes(eight));
        }
        let mut eight = [0; 8];
        for (place, byte) in eight.iter_mut().zip(words.remainder()) {
            *place = *byte;
        }
        self.mix(u64::from_le_bytes(eight));
        self.mix(bytes.len() as u64);
    }

    fn mix(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word).wrapping_mul(u128::from(K2));
        #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
        let folded = (wide as u64) ^ ((wide >> 64) as u64);
        self.0 = folded.rotate_left(23).wrapping_add(K1);
    }

    pub(super) const fn finish(self) -> u64 {
        let mut word = self.0;
        word ^= word >> 32;
        word = word.wrapping_mul(K1);
        word ^ (word >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    fn digest(bytes: &[u8]) -> u64 {
        let mut digest = Digest::new(7);
        digest.add(bytes);
        digest.finish()
    }

    #[test]
    fn the_digest_never_changes_between_versions() {
        assert_eq!(digest(b""), digest(b""));
        assert_ne!(digest(b"a"), digest(b"a\0"));
        assert_ne!(digest(b"abcdefgh"), digest(b"abcdefgi"));
        assert_eq!(format!("{:016x}", digest(b"Vesalius, De humani corporis fabrica")), PINNED);
    }

    const PINNED: &str = "fc5c839673d80a0e";
}
