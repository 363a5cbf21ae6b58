//! The keys that streams have in the database.
//!
//! A side stream's key begins with its transaction. Time-ordered ids (version 7) of neighbouring
//! commands then lie next to each other in the index, whatever their accounts are; with the name in
//! front every new side stream would touch another page.

use crate::error::{Error, Result};
use crate::id::TransactionId;
use crate::stream::StreamName;
use uuid::Uuid;

const PLAIN: u8 = 0;
const SIDE: u8 = 1;

/// A stream's key, and the transaction that is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    pub(super) bytes: Vec<u8>,
    pub(super) transaction: Option<TransactionId>,
}

impl StreamKey {
    pub(super) fn of(stream: &StreamName) -> Self {
        match side(stream) {
            Some((rest, transaction)) => {
                let id = transaction.as_uuid();
                let bytes = [&[SIDE], id.as_bytes().as_slice(), rest.as_bytes()].concat();
                Self { bytes, transaction: Some(transaction) }
            }
            None => Self { bytes: [&[PLAIN], stream.as_str().as_bytes()].concat(), transaction: None },
        }
    }
}

/// The name and the transaction that a stored key stands for.
pub(super) fn parse(key: &[u8]) -> Result<(StreamName, Option<TransactionId>)> {
    let (name, transaction) = match key.split_first() {
        Some((&PLAIN, name)) => (text(name)?.to_owned(), None),
        Some((&SIDE, rest)) => {
            let (id, rest) = rest.split_first_chunk::<16>().ok_or_else(bad_key)?;
            let transaction = TransactionId::new(Uuid::from_bytes(*id));
            (format!("{}+{transaction}", text(rest)?), Some(transaction))
        }
        _ => return Err(bad_key()),
    };
    let name = StreamName::parse(&name)
        .map_err(|source| Error::corrupt("a stored stream key holds no stream name").caused_by(source))?;
    Ok((name, transaction))
}

/// Splits off the transaction, where the name can be put together again from the two to the byte.
fn side(stream: &StreamName) -> Option<(&str, TransactionId)> {
    let (_, transaction) = stream.side_parts()?;
    let (rest, text) = stream.as_str().rsplit_once('+')?;
    let mut buffer = Uuid::encode_buffer();
    let canonical = transaction.as_uuid().hyphenated().encode_lower(&mut buffer);
    (*canonical == *text).then_some((rest, transaction))
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|source| bad_key().caused_by(source))
}

fn bad_key() -> Error {
    Error::corrupt("a stored stream key is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{AggregateId, Category};

    fn round(name: &StreamName) -> StreamKey {
        let key = StreamKey::of(name);
        assert_eq!(parse(&key.bytes).expect("parses"), (name.clone(), key.transaction));
        key
    }

    #[test]
    fn a_side_stream_is_keyed_by_its_transaction_first() {
        let id = AggregateId::new("acme+checking").expect("valid");
        let transaction = TransactionId::derive("test", "1");
        let key = round(&Category::new("account").side_stream(&id, transaction));
        assert_eq!(key.transaction, Some(transaction));
        assert_eq!(key.bytes[1..17], *transaction.as_uuid().as_bytes());
    }

    #[test]
    fn other_spellings_of_an_id_keep_their_name() {
        let id = TransactionId::derive("test", "1").as_uuid();
        for text in [id.hyphenated().to_string().to_uppercase(), id.simple().to_string(), "x".into()] {
            let name = StreamName::parse(&format!("accountTransaction-7+{text}")).expect("valid");
            assert_eq!(round(&name).transaction, None);
        }
        round(&StreamName::parse("account-7").expect("valid"));
    }

    #[test]
    fn a_malformed_key_is_corrupt() {
        for key in [&[][..], &[9, 9], &[1, 2, 3], &[0, 0xff], &[0, b'x']] {
            assert_eq!(parse(key).expect_err("malformed").code(), "corrupt");
        }
    }
}
