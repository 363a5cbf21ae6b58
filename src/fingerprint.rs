//! The fingerprint of an intent: what tells the same id with the same content from a mistake.
//!
//! It is taken over canonical JSON, so that neither the codec nor the order of a map's keys has a part
//! in it. Integers keep all their digits (the JSON Canonicalization Scheme, RFC 8785, would round them
//! to 53 bits, and two amounts would share a fingerprint).

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::id::{Fingerprint, StepName};

impl Fingerprint {
    /// The fingerprint of `command` as `step`, written under the command's `schema` version.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the command cannot be expressed in JSON.
    pub fn of<C: Serialize>(step: &StepName, schema: u16, command: &C) -> Result<Self> {
        let intent = serde_json::to_value(command).map_err(|source| {
            Error::invalid(format!("the command of step {step} has no JSON form")).caused_by(source)
        })?;
        let mut hash = blake3::Hasher::new();
        part(&mut hash, step.as_str().as_bytes());
        hash.update(&schema.to_le_bytes());
        canonical(&mut hash, &intent);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
        Ok(Self::from_bytes(bytes))
    }
}

/// Length first, so that no two sequences of parts hash alike.
fn part(hash: &mut blake3::Hasher, bytes: &[u8]) {
    hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(bytes);
}

fn canonical(hash: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => drop(hash.update(b"n")),
        Value::Bool(yes) => drop(hash.update(if *yes { b"t" } else { b"f" })),
        Value::Number(number) => {
            hash.update(b"#");
            part(hash, number.to_string().as_bytes());
        }
        Value::String(text) => {
            hash.update(b"s");
            part(hash, text.as_bytes());
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| canonical(hash, item));
            hash.update(b"]");
        }
        Value::Object(fields) => {
            // Sorted here: serde_json keeps insertion order where another crate switched that on.
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            hash.update(b"{");
            for (key, value) in sorted {
                part(hash, key.as_bytes());
                canonical(hash, value);
            }
            hash.update(b"}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const STEP: StepName = StepName::new("hold");

    fn of(value: &Value) -> Fingerprint {
        Fingerprint::of(&STEP, 1, value).expect("JSON")
    }

    #[test]
    fn key_order_has_no_part_in_it() {
        let ab: Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).expect("JSON");
        let ba: Value = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).expect("JSON");
        assert_eq!(of(&ab), of(&ba));
    }

    #[test]
    fn neighbouring_contents_differ() {
        let all = [
            json!({"cents": 9_007_199_254_740_993_i64}),
            json!({"cents": 9_007_199_254_740_992_i64}),
            json!({"cents": "1"}),
            json!({"cents": 1}),
            json!({"cents": 1.0}),
            json!(["ab", "c"]),
            json!(["a", "bc"]),
            json!([["a"], "bc"]),
            json!(null),
            json!(false),
        ];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn step_and_schema_are_part_of_it() {
        let value = json!({"cents": 1});
        let other_step = Fingerprint::of(&StepName::new("capture"), 1, &value).expect("JSON");
        let other_schema = Fingerprint::of(&STEP, 2, &value).expect("JSON");
        assert_ne!(of(&value), other_step);
        assert_ne!(of(&value), other_schema);
    }
}
