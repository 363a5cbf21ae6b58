//! Codecs: values to bytes and back, by a durable name that is stored with each record.
//!
//! What was written stays readable: a reader decodes with the codec that the record names, whichever
//! codec writes today, and hands bytes of an older schema version to the user's upcaster.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::error::{Error, Result};
use crate::event::{CodecName, NewRecord};
use crate::limits;

/// What a [`Codec`] hands its deserializer to.
pub type Visit<'a> =
    dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

/// A way to write values as bytes. Implement it for a format of your own; [`Json`] and [`Bincode`]
/// are built in.
///
/// An implementation must
/// - read what it wrote, for ever: the name is stored, so another format needs another name;
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

/// JSON: for people, and for SQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Codec for Json {
    fn name(&self) -> CodecName {
        builtin("json")
    }

    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>> {
        serde_json::to_vec(value)
            .map_err(|source| Error::invalid("a value cannot be written as JSON").caused_by(source))
    }

    fn decode(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut reader)).map_err(undecodable)?;
        reader.end().map_err(undecodable)
    }
}

/// bincode 2 with its standard configuration (variable-length integers, little endian): compact.
#[cfg(feature = "bincode")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Bincode;

#[cfg(feature = "bincode")]
impl Codec for Bincode {
    fn name(&self) -> CodecName {
        builtin("bincode")
    }

    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>> {
        bincode::serde::encode_to_vec(value, bincode::config::standard())
            .map_err(|source| Error::invalid("a value cannot be written by bincode").caused_by(source))
    }

    fn decode(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let config = bincode::config::standard().with_limit::<{ limits::PAYLOAD_BYTES }>();
        let ((), read) =
            bincode::serde::seed_decode_from_slice(Visiting(visit), bytes, config).map_err(undecodable)?;
        if read == bytes.len() {
            return Ok(());
        }
        Err(Error::corrupt("bytes are left over after a value").expected(bytes.len(), read))
    }
}

/// Carries a [`Visit`] into a format's own entry point.
#[cfg(feature = "bincode")]
struct Visiting<'v, 'f>(&'v mut Visit<'f>);

#[cfg(feature = "bincode")]
impl<'de> DeserializeSeed<'de> for Visiting<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        (self.0)(&mut <dyn erased_serde::Deserializer<'_>>::erase(reader)).map_err(serde::de::Error::custom)
    }
}

fn builtin(name: &'static str) -> CodecName {
    CodecName::builtin(name)
}

fn undecodable(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt("bytes cannot be decoded").caused_by(source)
}

/// The codec that writes, and all that can read.
#[derive(Debug, Clone)]
pub struct Codecs {
    writer: Arc<dyn Codec>,
    readers: Arc<[Arc<dyn Codec>]>,
}

impl Codecs {
    /// Writes with `writer`; reads what it and the built-in codecs wrote.
    #[must_use]
    pub fn new(writer: impl Codec) -> Self {
        Self::with_readers(writer, [])
    }

    /// Writes with `writer`; reads what it, `older` and the built-in codecs wrote.
    #[must_use]
    pub fn with_readers(writer: impl Codec, older: impl IntoIterator<Item = Arc<dyn Codec>>) -> Self {
        let writer: Arc<dyn Codec> = Arc::new(writer);
        let mut readers = vec![Arc::clone(&writer)];
        readers.extend(older);
        #[cfg(feature = "bincode")]
        readers.push(Arc::new(Bincode));
        readers.push(Arc::new(Json));
        Self { writer, readers: readers.into() }
    }

    /// Writes a value; the name goes beside the bytes.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the format cannot express it.
    pub fn encode<T: Serialize>(&self, value: &T) -> Result<(CodecName, Bytes)> {
        Ok((self.writer.name(), Bytes::from(self.writer.encode(value)?)))
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
        return Self::new(Bincode);
        #[cfg(not(feature = "bincode"))]
        Self::new(Json)
    }
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
        let codec =
            self.codecs.readers.iter().find(|codec| codec.name() == *self.codec).ok_or_else(|| {
                Error::corrupt(format!("codec {} of {} is not known here", self.codec, self.name))
                    .advice("give the handler this codec among its readers")
            })?;
        let mut value = None;
        codec.decode(self.bytes, &mut |reader| {
            value = Some(erased_serde::deserialize::<T>(reader)?);
            Ok(())
        })?;
        value.ok_or_else(|| Error::corrupt(format!("codec {} gave no value", self.codec)))
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

    fn record(codecs: &Codecs, value: &impl Serialize) -> NewRecord {
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
        let old = record(&Codecs::new(Json), &(7_i64, "held"));
        let back: (i64, String) = Codecs::default().open(&old).decode().expect("decodes");
        assert_eq!(back, (7, "held".to_owned()));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        for codecs in [Codecs::default(), Codecs::new(Json)] {
            let mut long = record(&codecs, &7_u8);
            long.payload = [&long.payload[..], b"1 "].concat().into();
            assert!(codecs.open(&long).decode::<u8>().is_err(), "{codecs:?}");
        }
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
