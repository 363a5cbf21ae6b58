//! Codecs: values to bytes and back, by a durable name that is stored with each record.
//!
//! What was written stays readable: a reader decodes with the codec that the record names, whichever
//! codec writes today, and hands bytes of an older schema version to the user's upcaster.

mod bounded;

use std::fmt;
#[cfg(feature = "bincode")]
use std::marker::PhantomData;
use std::sync::Arc;

use bounded::{Bounded, Budget};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "bincode")]
use serde::de::DeserializeSeed;

use crate::error::{Error, Result};
use crate::event::{CodecName, NewRecord};
use crate::limits;

/// What a [`Codec`] hands its deserializer to.
pub type Visit<'a> =
    dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

/// A way to write values as bytes: implement it for a format of your own.
///
/// An implementation must
/// - read what it wrote, for ever: the name is stored, so another format needs another name, and not that of
///   a built-in one;
/// - refuse trailing bytes, and input that claims more elements or depth than its bytes can hold;
/// - never panic on hostile bytes.
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// The durable name, at most 16 bytes.
    fn name(&self) -> CodecName;

    /// Writes a value.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the format cannot express it.
    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>>;

    /// Opens a deserializer over all of `bytes` and passes it to `visit`, once.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when `visit` fails or bytes are left over.
    fn decode(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()>;
}

/// The codec that writes, and all that can read.
///
/// Two are built in, under the names `json` (for people, and for SQL) and `bincode` (compact: bincode 2
/// with its standard configuration of variable-length integers, little endian). Both are always among the
/// readers; `bincode` where its feature is on.
#[derive(Debug, Clone)]
pub struct Codecs {
    writer: Format,
    others: Arc<[Arc<dyn Codec>]>,
}

/// The built-in formats are called directly, not through [`Codec`]: an error that crosses `erased_serde` is
/// formatted once for each level of nesting, and bincode's errors double their length each time.
#[derive(Debug, Clone)]
enum Format {
    Json,
    #[cfg(feature = "bincode")]
    Bincode,
    Other(Arc<dyn Codec>),
}

impl Codecs {
    /// Writes JSON.
    #[must_use]
    pub fn json() -> Self {
        Self { writer: Format::Json, others: Arc::new([]) }
    }

    /// Writes bincode.
    #[cfg(feature = "bincode")]
    #[must_use]
    pub fn bincode() -> Self {
        Self { writer: Format::Bincode, others: Arc::new([]) }
    }

    /// Writes with a codec of your own.
    #[must_use]
    pub fn custom(writer: impl Codec) -> Self {
        let writer: Arc<dyn Codec> = Arc::new(writer);
        Self { others: Arc::new([Arc::clone(&writer)]), writer: Format::Other(writer) }
    }

    /// Reads what further codecs of your own wrote.
    #[must_use]
    pub fn reading(mut self, older: impl IntoIterator<Item = Arc<dyn Codec>>) -> Self {
        self.others = self.others.iter().cloned().chain(older).collect();
        self
    }

    /// Writes a value; the name goes beside the bytes.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the format cannot express it.
    pub fn encode<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<(CodecName, Bytes)> {
        let (name, bytes) = match &self.writer {
            Format::Json => (JSON, serde_json::to_vec(value).map_err(|error| inexpressible(&JSON, error))?),
            #[cfg(feature = "bincode")]
            Format::Bincode => {
                let bytes = bincode::serde::encode_to_vec(value, bincode::config::standard());
                (BINCODE, bytes.map_err(|error| inexpressible(&BINCODE, error))?)
            }
            Format::Other(codec) => (codec.name(), codec.encode(value)?),
        };
        // Too deep to be read again is too deep to be written. Each level takes a byte at least, so small
        // values need no look; and what no record can hold is refused there.
        if (limits::VALUE_DEPTH..=limits::PAYLOAD_BYTES).contains(&bytes.len()) {
            self.decode::<T>(&name, &bytes).map_err(|error| {
                Error::invalid(format!("what {name} wrote cannot be read again")).caused_by(error)
            })?;
        }
        Ok((name, Bytes::from(bytes)))
    }

    fn decode<T: DeserializeOwned>(&self, codec: &CodecName, bytes: &[u8]) -> Result<T> {
        match codec.as_str() {
            "json" => decode_json(bytes),
            #[cfg(feature = "bincode")]
            "bincode" => decode_bincode(bytes),
            _ => self.decode_other(codec, bytes),
        }
    }

    fn decode_other<T: DeserializeOwned>(&self, name: &CodecName, bytes: &[u8]) -> Result<T> {
        let codec = self.others.iter().find(|codec| codec.name() == *name).ok_or_else(|| {
            Error::corrupt(format!("codec {name} is not known here"))
                .advice("give the handler this codec among its readers")
        })?;
        let (budget, mut value) = (Budget::new(), None);
        codec.decode(bytes, &mut |reader| {
            value = Some(T::deserialize(Bounded::new(reader, &budget))?);
            Ok(())
        })?;
        value.ok_or_else(|| Error::corrupt(format!("codec {name} gave no value")))
    }

    /// The content of a record, ready to be decoded.
    #[must_use]
    pub fn open<'a>(&'a self, record: &'a NewRecord) -> Encoded<'a> {
        Encoded {
            codecs: self,
            codec: &record.codec,
            name: record.event_type.as_str(),
            schema: record.schema,
            bytes: &record.payload,
        }
    }
}

impl Default for Codecs {
    /// Writes bincode where the feature is on, JSON otherwise.
    fn default() -> Self {
        #[cfg(feature = "bincode")]
        return Self::bincode();
        #[cfg(not(feature = "bincode"))]
        Self::json()
    }
}

const JSON: CodecName = CodecName::builtin("json");
#[cfg(feature = "bincode")]
const BINCODE: CodecName = CodecName::builtin("bincode");

fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let (budget, mut reader) = (Budget::new(), serde_json::Deserializer::from_slice(bytes));
    let value = T::deserialize(Bounded::new(&mut reader, &budget)).map_err(undecodable)?;
    reader.end().map_err(undecodable)?;
    Ok(value)
}

#[cfg(feature = "bincode")]
fn decode_bincode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let config = bincode::config::standard().with_limit::<{ limits::PAYLOAD_BYTES }>();
    let budget = Budget::new();
    let typed = Typed::<T>(&budget, PhantomData);
    let (value, read) = bincode::serde::seed_decode_from_slice(typed, bytes, config).map_err(undecodable)?;
    if read == bytes.len() {
        return Ok(value);
    }
    Err(Error::corrupt("bytes are left over after a value").expected(bytes.len(), read))
}

/// Carries the type and the budget into bincode's entry point, which tells how many bytes it read.
#[cfg(feature = "bincode")]
struct Typed<'b, T>(&'b Budget, PhantomData<T>);

#[cfg(feature = "bincode")]
impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Typed<'_, T> {
    type Value = T;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<T, D::Error> {
        T::deserialize(Bounded::new(reader, self.0))
    }
}

fn inexpressible(codec: &CodecName, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(format!("a value cannot be written by {codec}")).caused_by(source)
}

fn undecodable(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt("bytes cannot be decoded").caused_by(source)
}

/// Stored bytes with all that is known of them: what an upcaster is given.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    codecs: &'a Codecs,
    codec: &'a CodecName,
    name: &'a str,
    schema: u16,
    bytes: &'a [u8],
}

impl Encoded<'_> {
    /// The event type of the record.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// The schema version that the bytes were written with.
    #[must_use]
    pub fn schema(&self) -> u16 {
        self.schema
    }

    /// Decodes the bytes as the type that they were written from.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the codec is unknown or the bytes are not of this type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        self.codecs.decode(self.codec, self.bytes)
    }

    /// What an upcaster answers to a schema version that it does not know.
    ///
    /// # Errors
    /// Always: [`Corrupt`](crate::ErrorKind::Corrupt), naming type and schema version.
    pub fn unsupported<T>(&self) -> Result<T> {
        Err(Error::corrupt(format!("{} of schema version {} cannot be read", self.name, self.schema))
            .advice("run a version of the service that knows this schema; nothing was decided"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RecordKind;

    fn record(codecs: &Codecs, value: &(impl Serialize + DeserializeOwned)) -> NewRecord {
        let (codec, payload) = codecs.encode(value).expect("encodes");
        let event_type = crate::event::EventType::new("test").expect("valid");
        NewRecord {
            kind: RecordKind::Event,
            event_type,
            schema: 1,
            codec,
            cause: None,
            requester: None,
            payload,
        }
    }

    #[test]
    fn another_writer_still_reads_what_was_written_before() {
        let old = record(&Codecs::json(), &(7_i64, "held".to_owned()));
        let back: (i64, String) = Codecs::default().open(&old).decode().expect("decodes");
        assert_eq!(back, (7, "held".to_owned()));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        for codecs in [Codecs::default(), Codecs::json()] {
            let mut long = record(&codecs, &7_u8);
            long.payload = [&long.payload[..], b" 1"].concat().into();
            assert!(codecs.open(&long).decode::<u8>().is_err(), "{codecs:?}");
        }
    }

    #[cfg(feature = "bincode")]
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Nested(Vec<Nested>);

    #[cfg(feature = "bincode")]
    #[test]
    fn what_is_too_deep_to_be_read_is_not_written() {
        let nested = |depth: usize| (0..depth).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]));
        for codecs in [Codecs::bincode(), Codecs::json()] {
            assert!(codecs.encode(&nested(20)).is_ok(), "{codecs:?}");
            let error = codecs.encode(&(vec![0_u8; 200], nested(1_000))).expect_err("too deep");
            assert!(error.to_string().contains("cannot be read again"), "{error}");
        }
    }

    #[test]
    fn hostile_depth_is_refused() {
        let mut deep = record(&Codecs::json(), &0_u8);
        deep.payload = "[".repeat(100_000).into();
        assert!(Codecs::default().open(&deep).decode::<serde_json::Value>().is_err());
        #[cfg(feature = "bincode")]
        {
            let mut deep = record(&Codecs::default(), &0_u8);
            deep.payload = vec![1; 500_000].into();
            let error = Codecs::default().open(&deep).decode::<Nested>().expect_err("too deep");
            assert!(error.to_string().contains("nested deeper"), "{error}");
        }
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn a_hostile_count_of_nothings_is_refused() {
        let mut bomb = record(&Codecs::default(), &0_u8);
        bomb.payload = Bytes::from_static(&[253, 255, 255, 255, 255, 255, 255, 255, 127]);
        let error = Codecs::default().open(&bomb).decode::<Vec<()>>().expect_err("too many");
        assert!(error.to_string().contains("elements"), "{error}");
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn a_hostile_length_is_refused() {
        let mut bomb = record(&Codecs::default(), &0_u8);
        bomb.payload = Bytes::from_static(&[253, 255, 255, 255, 255, 255, 255, 255, 127]);
        assert!(Codecs::default().open(&bomb).decode::<Vec<u64>>().is_err());
    }

    #[test]
    fn an_unknown_codec_is_named() {
        let mut record = record(&Codecs::default(), &0_u8);
        record.codec = CodecName::new("rot13").expect("valid");
        let error = Codecs::default().open(&record).decode::<u8>().expect_err("unknown");
        assert!(error.to_string().contains("rot13"), "{error}");
    }
}
