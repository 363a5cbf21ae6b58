//! Numbers in as few bytes as they need: seven bits a byte, the lowest first (LEB128).

use crate::error::{Error, Result};

/// Most bytes that a number takes.
const MOST: usize = 10;

/// Appends a number.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_bits(number));
}

/// Appends the distance from `before` to `number`; small ones in either direction are short.
pub(super) fn put_distance(bytes: &mut Vec<u8>, before: u64, number: u64) {
    let distance = number.wrapping_sub(before).cast_signed();
    put(bytes, (distance << 1 ^ distance >> 63).cast_unsigned());
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or(0)
}

/// Bytes that are taken apart from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for at in 0..MOST {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = u32::try_from(at.saturating_mul(7)).unwrap_or(0);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::corrupt("a stored number is too long"))
    }

    pub(super) fn distance(&mut self, before: u64) -> Result<u64> {
        let coded = self.number()?;
        let distance = (coded >> 1).cast_signed() ^ (coded & 1).cast_signed().wrapping_neg();
        Ok(before.wrapping_add(distance.cast_unsigned()))
    }

    pub(super) fn count(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| cut_short())
    }

    /// Bytes behind their own length.
    pub(super) fn part(&mut self) -> Result<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    /// Text behind its length.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.part()?)
            .map_err(|source| Error::corrupt("stored text is no UTF-8").caused_by(source))
    }
}

/// Appends bytes behind their length.
pub(super) fn put_part(bytes: &mut Vec<u8>, part: &[u8]) {
    put(bytes, u64::try_from(part.len()).unwrap_or(u64::MAX));
    bytes.extend_from_slice(part);
}

fn cut_short() -> Error {
    Error::corrupt("stored bytes end too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_distances_come_back() {
        let numbers = [0, 1, 127, 128, 300, 1 << 35, u64::MAX >> 1, u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            put(&mut bytes, number);
            put_distance(&mut bytes, 128, number);
        }
        put_part(&mut bytes, b"end");
        let mut read = Bytes(&bytes);
        for number in numbers {
            assert_eq!(read.number().expect("stored"), number);
            assert_eq!(read.distance(128).expect("stored"), number);
        }
        assert_eq!(read.text().expect("stored"), "end");
        assert!(read.is_empty());
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_corrupt() {
        assert_eq!(Bytes(&[]).number().expect_err("nothing").code(), "corrupt");
        assert_eq!(Bytes(&[0x80]).number().expect_err("cut").code(), "corrupt");
        assert_eq!(Bytes(&[0xff; 11]).number().expect_err("long").code(), "corrupt");
        assert_eq!(Bytes(&[5, 1]).part().expect_err("cut").code(), "corrupt");
    }
}
