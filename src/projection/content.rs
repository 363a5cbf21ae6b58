//! What rows are, as one number that can be compared.

use std::fmt;

use serde::Serialize;

/// A hash of a view's rows: BLAKE3, of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ContentHash([u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Takes in values one after the other. Each is kept apart from the next by its kind and its length.
#[derive(Debug, Default)]
pub(super) struct Hasher(blake3::Hasher);

impl Hasher {
    pub(super) fn value(&mut self, kind: u8, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(&[kind]).update(&length.to_le_bytes()).update(bytes);
    }

    pub(super) fn end(&self) -> ContentHash {
        ContentHash(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_run_into_each_other() {
        let of = |values: &[(u8, &str)]| {
            let mut hasher = Hasher::default();
            values.iter().for_each(|(kind, value)| hasher.value(*kind, value.as_bytes()));
            hasher.end()
        };
        let all = [of(&[]), of(&[(1, "")]), of(&[(1, "ab")]), of(&[(1, "a"), (1, "b")]), of(&[(2, "ab")])];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
        assert_eq!(of(&[(1, "a")]), of(&[(1, "a")]));
        assert_eq!(all[0].to_string().len(), 64);
    }
}
