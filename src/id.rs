//! Who asks for what: transactions, steps, and the fingerprint of what was asked.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::limits;

/// The namespace of derived ids. It never changes: derived ids would.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_9a52_7d0b_5e8a_93f4_2b61_c8d7_0e35);

/// The unit of idempotency, made by the client, valid for ever within one aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(Uuid);

impl TransactionId {
    /// Takes a client's id.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Derives an id from a cause, so that the same cause always asks under the same id (UUID version 5).
    /// Lengths are part of what is hashed: no two pairs share an id by their concatenation.
    ///
    /// ```
    /// use sidestream::TransactionId;
    /// assert_eq!(TransactionId::derive("bank", "207264"), TransactionId::derive("bank", "207264"));
    /// assert_ne!(TransactionId::derive("bank2", "07264"), TransactionId::derive("bank", "207264"));
    /// ```
    #[must_use]
    pub fn derive(scope: &str, name: &str) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("{}:{scope}{name}", scope.len()).as_bytes()))
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TransactionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|source| Error::invalid(format!("transaction id {text:?} is no UUID")).caused_by(source))
    }
}

/// One command inside a transaction: its kind, and the client's key where the kind can recur.
///
/// A step is settled once. A hold that is captured in parts has the steps `hold`, `capture:1`,
/// `capture:2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepName(Cow<'static, str>);

impl StepName {
    /// A step that occurs once in a transaction.
    ///
    /// # Panics
    /// In a `const`, at compile time, when the name is empty, too long, or holds a `:`.
    #[must_use]
    #[allow(clippy::panic, reason = "a const evaluated at compile time")]
    pub const fn new(kind: &'static str) -> Self {
        assert!(is_step_kind(kind.as_bytes()), "a step is 1 to 64 letters, digits, '_' or '-'");
        Self(Cow::Borrowed(kind))
    }

    /// A step that may recur, named apart by the client's number or key. A key that is too long or holds
    /// a control character is refused when the command is handled.
    #[must_use]
    pub fn keyed(kind: &'static str, key: impl fmt::Display) -> Self {
        Self(Cow::Owned(format!("{kind}:{key}")))
    }

    /// Reads a name that a store gives back.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it cannot be a step's name.
    pub fn parse(name: &str) -> Result<Self> {
        let step = Self(Cow::Owned(name.to_owned()));
        step.check().map(|()| step)
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn check(&self) -> Result<()> {
        let kind = self.0.split_once(':').map_or(&*self.0, |(kind, _)| kind);
        let fits = self.0.len() <= limits::STEP_BYTES && !self.0.chars().any(char::is_control);
        if fits && is_step_kind(kind.as_bytes()) {
            return Ok(());
        }
        let shown: String = self.0.chars().take(64).collect();
        Err(Error::invalid(format!(
            "step {shown:?} is no kind with an optional ':key', at most {} bytes, no control characters",
            limits::STEP_BYTES
        )))
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn is_step_kind(kind: &[u8]) -> bool {
    let mut at = 0;
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "const fn, at < len")]
    while at < kind.len() {
        if !matches!(kind[at], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    !kind.is_empty() && kind.len() <= limits::STEP_BYTES
}

/// What tells two contents apart: the first 16 bytes of a BLAKE3 hash over the canonical intent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// A fingerprint from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a record is there: the transaction and step that asked for it, and the fingerprint of what was
/// asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The transaction.
    pub transaction: TransactionId,
    /// The step of it.
    pub step: StepName,
    /// What was asked.
    pub fingerprint: Fingerprint,
}
