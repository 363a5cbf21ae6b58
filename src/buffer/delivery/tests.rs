#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::message::{MessageId, Topic};
use crate::partition::PartitionId;
use crate::stream::{Position, StreamName, Version};

fn delivery(content_type: &str, data: &'static [u8]) -> Delivery {
    let cause = Cause {
        transaction: TransactionId::derive("test", "1"),
        step: StepName::new("capture"),
        fingerprint: Fingerprint::from_bytes([7; 16]),
    };
    let stream = StreamName::parse("accountMessage-7").expect("a name");
    let message = RecordedMessage {
        id: MessageId::derive(&stream, &cause, 0),
        topic: Topic::new("payments.captured"),
        key: "7".to_owned(),
        stream,
        version: Version::new(3),
        partition: PartitionId::new(0),
        position: Position::new(9),
        cause,
        recorded_at: Timestamp::from_micros(946_684_800_000_001),
        content_type: content_type.to_owned(),
        headers: BTreeMap::from([("traceparent".to_owned(), "00-ab".to_owned())]),
        data: Bytes::from_static(data),
    };
    Delivery { message: Arc::new(message), source: "bank".into(), refusals: 0 }
}

#[test]
fn an_envelope_is_as_cloud_events_wants_it() {
    let found = delivery("application/json", br#"{"cents":500}"#).cloud_event().expect("an envelope");
    let expected = concat!(
        r#"{"specversion":"1.0","id":"0fc2fffa-b013-5c3a-9cda-cb23bc568b56","source":"bank","#,
        r#""type":"payments.captured","subject":"account-7","time":"2000-01-01T00:00:00.000001Z","#,
        r#""partitionkey":"7","sequence":"00000000000000000003","traceparent":"00-ab","#,
        r#""datacontenttype":"application/json","data":{"cents":500}}"#
    );
    assert_eq!(std::str::from_utf8(&found), Ok(expected));
}

#[test]
fn what_is_no_json_is_base64() {
    let found = delivery("application/octet-stream", &[0, 255]).cloud_event().expect("an envelope");
    let found: serde_json::Value = serde_json::from_slice(&found).expect("JSON");
    assert_eq!((&found["data_base64"], found.get("data")), (&serde_json::json!("AP8="), None));
}
