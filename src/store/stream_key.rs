//! The keys that streams have in the index.
//!
//! They have a fixed size. A side stream's key begins with its transaction: time-ordered ids (version 7) of
//! neighbouring commands then lie next to each other, whatever their accounts are. Names are hashed; whoever
//! follows an index to a row compares the name that stands there.

use crate::id::TransactionId;
use crate::stream::StreamName;
use uuid::Uuid;

/// What an index entry is about. The numbers are stored.
const PLAIN: u8 = 0;
const SIDE: u8 = 1;
/// Added for the snapshots of a stream.
#[cfg(feature = "sqlite")]
const SNAPSHOTS: u8 = 2;

/// Most bytes of a key.
pub(in crate::store) const KEY_BYTES: usize = 25;
/// Bytes of a key without the hash of a side stream's name.
const SHORT_KEY_BYTES: usize = 17;

/// A stream in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct StreamKey {
    pub(in crate::store) family: u8,
    /// The transaction of a side stream; of others 16 bytes of the name's hash.
    pub(in crate::store) id: u128,
    /// Of a side stream, 8 bytes of the hash of the name without the transaction; of others 0.
    pub(in crate::store) rest: u64,
}

impl StreamKey {
    /// The families of side streams: of their records, and of their snapshots.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) const SIDE_FAMILIES: [u8; 2] = [SIDE, SIDE | SNAPSHOTS];

    pub(in crate::store) fn of(stream: &StreamName) -> Self {
        match side_parts(stream) {
            Some((rest, transaction)) => {
                Self { family: SIDE, id: transaction.as_uuid().as_u128(), rest: half(hash(rest)) }
            }
            None => Self { family: PLAIN, id: hash(stream.as_str()), rest: 0 },
        }
    }

    /// The key of the same stream's snapshots.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn snapshots(self) -> Self {
        Self { family: self.family | SNAPSHOTS, ..self }
    }

    pub(in crate::store) fn is_side(self) -> bool {
        self.family & SIDE != 0
    }

    /// How many of the bytes of a key count.
    pub(in crate::store) fn length(family: u8) -> usize {
        if family & SIDE == 0 { SHORT_KEY_BYTES } else { KEY_BYTES }
    }

    pub(in crate::store) fn to_bytes(self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        let parts = [self.family].into_iter().chain(self.id.to_be_bytes()).chain(self.rest.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// The bytes that count.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn to_vec(self) -> Vec<u8> {
        self.to_bytes().get(..Self::length(self.family)).unwrap_or_default().to_vec()
    }

    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let [family, rest @ ..] = bytes;
        let (id, rest) = rest.split_at(16);
        let id = id.first_chunk().map_or(0, |id| u128::from_be_bytes(*id));
        let rest = rest.first_chunk().map_or(0, |rest| u64::from_be_bytes(*rest));
        Self { family: *family, id, rest }
    }
}

/// Splits off the transaction, where the name can be put together again from the two to the byte.
pub(in crate::store) fn side_parts(stream: &StreamName) -> Option<(&str, TransactionId)> {
    let (rest, text) = stream.as_str().rsplit_once('+')?;
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::try_parse(text).ok()?;
    let is_canonical = *id.hyphenated().encode_lower(&mut buffer) == *text;
    (is_canonical && stream.is_side()).then_some((rest, TransactionId::new(id)))
}

/// Whether a side stream's name without its transaction says that it is one of `aggregate`.
pub(in crate::store) fn is_side_of(base: &str, aggregate: &StreamName) -> bool {
    let rest = base.strip_prefix(aggregate.category());
    let id = rest.and_then(|rest| rest.strip_prefix(StreamName::SIDE_SUFFIX)?.strip_prefix('-'));
    id == Some(aggregate.id())
}

/// The name of a transaction's side stream beside an aggregate's.
pub(in crate::store) fn side_of(aggregate: &str, transaction: TransactionId) -> Option<String> {
    let (category, id) = aggregate.split_once('-')?;
    Some(format!("{category}{}-{id}+{transaction}", StreamName::SIDE_SUFFIX))
}

fn hash(name: &str) -> u128 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |first| u128::from_be_bytes(*first))
}

fn half(hash: u128) -> u64 {
    u64::try_from(hash >> 64).unwrap_or(0)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::stream::{AggregateId, Category};

    #[test]
    fn a_side_stream_is_keyed_by_its_transaction_first() {
        let transaction = TransactionId::derive("test", "1");
        let key = |id| {
            let id = AggregateId::new(id).expect("valid");
            StreamKey::of(&Category::new("account").side_stream(&id, transaction))
        };
        assert_eq!(key("7").id, transaction.as_uuid().as_u128());
        assert_eq!(key("7"), key("7"));
        assert_ne!(key("7"), key("8"), "one transaction on two accounts");
        assert!(key("7").is_side());
    }

    #[test]
    fn other_spellings_of_an_id_are_other_streams() {
        let id = TransactionId::derive("test", "1").as_uuid();
        let name = |text: &str| StreamName::parse(&format!("accountTransaction-7+{text}")).expect("valid");
        let usual = StreamKey::of(&name(&id.hyphenated().to_string()));
        for text in [id.hyphenated().to_string().to_uppercase(), id.simple().to_string(), "x".into()] {
            let key = StreamKey::of(&name(&text));
            assert!(!key.is_side() && key != usual, "{text}");
        }
    }

    #[test]
    fn bytes_keep_the_order_and_come_back() {
        let plain = StreamKey::of(&StreamName::parse("account-7").expect("valid"));
        let side = StreamKey { family: SIDE, id: 1 << 100, rest: 7 };
        for key in [plain, side, plain.snapshots(), side.snapshots()] {
            assert_eq!(StreamKey::from_bytes(&key.to_bytes()), key);
        }
        assert!(plain < side && plain.to_bytes() < side.to_bytes());
        assert!(side < plain.snapshots() && plain.snapshots() != plain);
    }
}
