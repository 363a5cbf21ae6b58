//! A record inside the bytes of its unit.

use crate::error::{Error, Result};
use crate::event::{CodecName, EventType, NewRecord, RecordKind};
use crate::id::Cause;
use crate::store::sqlite::varint::{Bytes, put, put_part};
use crate::stream::{StreamName, Version};

/// The kind's code, in the first byte.
const KIND: u8 = 0b0000_1111;
/// Its cause is the unit's first.
const FIRST_CAUSE: u8 = 0b0001_0000;
/// Its cause is another; which one stands behind the codec.
const OTHER_CAUSE: u8 = 0b0010_0000;
const HAS_REQUESTER: u8 = 0b0100_0000;
/// Both of the kind's numbers are zero, and are left out.
const NO_NUMBERS: u8 = 0b1000_0000;

/// Codecs that are written as one byte; another stands there by name, behind 0.
const CODECS: [(u8, CodecName); 4] = [
    (1, CodecName::builtin("bincode")),
    (2, CodecName::builtin("json")),
    (3, CodecName::builtin("none")),
    (4, CodecName::builtin("text")),
];

/// Writes a record behind those before it.
pub(super) fn encode(
    bytes: &mut Vec<u8>,
    stream: &StreamName,
    version: Version,
    data: &NewRecord,
    causes: &[&Cause],
) {
    let cause = data.cause.as_ref().and_then(|cause| causes.iter().position(|known| *known == cause));
    let numbers = data.kind.numbers();
    bytes.push(flags(data, cause, numbers));
    if numbers != (0, 0) {
        put(bytes, numbers.0);
        put(bytes, numbers.1);
    }
    if data.kind.has_own_type() {
        put_part(bytes, data.event_type.as_str().as_bytes());
    }
    put(bytes, u64::from(data.schema));
    match CODECS.iter().find(|(_, name)| *name == data.codec) {
        Some((code, _)) => bytes.push(*code),
        None => {
            bytes.push(0);
            put_part(bytes, data.codec.as_str().as_bytes());
        }
    }
    if let Some(other) = cause.filter(|at| *at > 0) {
        put(bytes, u64::try_from(other).unwrap_or(u64::MAX));
    }
    if let Some(requester) = &data.requester {
        put_part(bytes, requester.as_bytes());
    }
    bytes.extend_from_slice(&data.checksum(stream, version).0.to_le_bytes());
    put_part(bytes, &data.payload);
}

fn flags(data: &NewRecord, cause: Option<usize>, numbers: (u64, u64)) -> u8 {
    let cause = match cause {
        None => 0,
        Some(0) => FIRST_CAUSE,
        Some(_) => OTHER_CAUSE,
    };
    let requester = if data.requester.is_some() { HAS_REQUESTER } else { 0 };
    let numbers = if numbers == (0, 0) { NO_NUMBERS } else { 0 };
    data.kind.code() | cause | requester | numbers
}

/// What stands in front of a record's other fields.
struct Head<'a> {
    flags: u8,
    kind: RecordKind,
    event_type: Option<&'a str>,
}

fn head<'a>(bytes: &mut Bytes<'a>) -> Result<Head<'a>> {
    let flags = bytes.byte()?;
    if flags & FIRST_CAUSE != 0 && flags & OTHER_CAUSE != 0 {
        return Err(Error::corrupt("a record has two causes"));
    }
    let numbers = if flags & NO_NUMBERS == 0 { (bytes.number()?, bytes.number()?) } else { (0, 0) };
    let kind = RecordKind::from_parts(flags & KIND, numbers)?;
    let event_type = kind.has_own_type().then(|| bytes.text()).transpose()?;
    Ok(Head { flags, kind, event_type })
}

/// What the next record is.
pub(super) fn kind(mut bytes: Bytes<'_>) -> Result<(RecordKind, Option<&str>)> {
    head(&mut bytes).map(|head| (head.kind, head.event_type))
}

/// Passes over a record.
pub(super) fn skip(bytes: &mut Bytes<'_>) -> Result<()> {
    let head = head(bytes)?;
    bytes.number()?;
    if bytes.byte()? == 0 {
        bytes.part()?;
    }
    if head.flags & OTHER_CAUSE != 0 {
        bytes.number()?;
    }
    if head.flags & HAS_REQUESTER != 0 {
        bytes.part()?;
    }
    bytes.take(4)?;
    bytes.part().map(drop)
}

/// Reads a record, without its payload, its checksum, and the payload where it lies.
pub(super) fn decode<'a>(bytes: &mut Bytes<'a>, causes: &[Cause]) -> Result<(NewRecord, u32, &'a [u8])> {
    let Head { flags, kind, event_type } = head(bytes)?;
    let event_type = match (event_type, kind.framework_type()) {
        (Some(name), _) => EventType::stored(name.to_owned())?,
        (None, Some(of_kind)) => of_kind,
        (None, None) => return Err(Error::corrupt("an event or message has no type")),
    };
    let schema =
        u16::try_from(bytes.number()?).map_err(|_| Error::corrupt("a schema version is too large"))?;
    let codec = codec(bytes)?;
    let cause = match (flags & FIRST_CAUSE != 0, flags & OTHER_CAUSE != 0) {
        (false, false) => None,
        (true, _) => Some(0),
        (false, true) => Some(bytes.count()?),
    };
    let missing = || Error::corrupt("a record's cause is missing");
    let cause = cause.map(|at| causes.get(at).cloned().ok_or_else(missing)).transpose()?;
    let has_requester = flags & HAS_REQUESTER != 0;
    let requester = has_requester.then(|| bytes.text().map(str::to_owned)).transpose()?;
    let checksum = u32::from_le_bytes(bytes.array()?);
    let payload = bytes.part()?;
    let data = NewRecord { kind, event_type, schema, codec, cause, requester, payload: bytes::Bytes::new() };
    Ok((data, checksum, payload))
}

fn codec(bytes: &mut Bytes<'_>) -> Result<CodecName> {
    match bytes.byte()? {
        0 => CodecName::new(bytes.text()?.to_owned()),
        code => CODECS
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, name)| name.clone())
            .ok_or_else(|| Error::corrupt(format!("codec number {code} is unknown"))),
    }
}
