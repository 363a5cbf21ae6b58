//! Errors by kind: what happened, in which stream, whether a retry is safe, what to do.
//!
//! A refusal by a user's rules is an answer, not an error: see [`Outcome`](crate::Outcome). An [`Error`]
//! is a failure of the machinery. The shape (kinds that tell the caller what to do next, with a stable
//! code) follows SlateDB's RFC 7.

use std::fmt;
use std::sync::Arc;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The transaction's step is already known with another content. Fix the call.
    Conflict,
    /// The call itself is wrong, or the rules failed on it. Fix the call.
    Invalid,
    /// Another step of this transaction is still open. Retry later with the same id.
    InProgress,
    /// Others wrote to the aggregate each time this command was decided. Retry later with the same id.
    Contended,
    /// A bound was reached. Retry later with the same id.
    Overloaded,
    /// The store cannot be reached or cannot write now; nothing was done. Back off, same id.
    Unavailable,
    /// Neither done nor refused for sure. Retry with the same id: it hears what became of it.
    Unknown,
    /// Another process owns this now. Stop.
    Fenced,
    /// What is stored cannot be right. Stop, and call someone.
    Corrupt,
    /// The side stream knows versions that the aggregate's stream no longer has. Stop, and call someone.
    LostHistory,
}

impl ErrorKind {
    /// The stable name, for programs and for searching.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::InProgress => "in_progress",
            Self::Contended => "contended",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Fenced => "fenced",
            Self::Corrupt => "corrupt",
            Self::LostHistory => "lost_history",
        }
    }

    /// Whether the same call with the same transaction id may succeed later. It is always *safe*.
    #[must_use]
    pub const fn retry_may_help(self) -> bool {
        matches!(
            self,
            Self::InProgress | Self::Contended | Self::Overloaded | Self::Unavailable | Self::Unknown
        )
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Conflict => "use a new transaction id for a new request",
            Self::Invalid => "correct the call",
            Self::InProgress => "retry later with the same transaction id",
            Self::Contended => "retry after a short pause with the same transaction id",
            Self::Overloaded => "retry later with the same transaction id, and send less",
            Self::Unavailable => "back off, then retry with the same transaction id",
            Self::Unknown => "retry with the same transaction id to hear what became of it",
            Self::Fenced => "stop this process: another one owns what it writes to",
            Self::Corrupt => "stop using this stream, keep the store as it is, and restore or repair it",
            Self::LostHistory => {
                "stop this aggregate: the store is older than what was acknowledged; restore it"
            }
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// A failure of the machinery. Cheap to clone: one failed commit answers many callers.
#[derive(Debug, Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    what: String,
    stream: Option<String>,
    expected: Option<String>,
    found: Option<String>,
    advice: Option<String>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind`; `what` says what was being done and what happened.
    #[must_use]
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            what: what.into(),
            stream: None,
            expected: None,
            found: None,
            advice: None,
            source: None,
        }))
    }

    /// [`ErrorKind::Invalid`], the commonest.
    #[must_use]
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }

    /// [`ErrorKind::Corrupt`].
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    /// Names the stream that it happened in.
    #[must_use]
    pub fn in_stream(self, stream: impl fmt::Display) -> Self {
        self.with(|inner| inner.stream = Some(stream.to_string()))
    }

    /// Says what was expected and what was found instead.
    #[must_use]
    pub fn expected(self, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        self.with(|inner| {
            inner.expected = Some(expected.to_string());
            inner.found = Some(found.to_string());
        })
    }

    /// Replaces the kind's general advice by a better one.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        self.with(|inner| inner.advice = Some(advice.into()))
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn caused_by(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.source = Some(Arc::new(source)))
    }

    /// What the caller does about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The kind's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The stream that it happened in, where there is one.
    #[must_use]
    pub fn stream(&self) -> Option<&str> {
        self.0.stream.as_deref()
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "{}: {}", inner.kind, inner.what)?;
        if let Some(stream) = &inner.stream {
            write!(f, ", in stream {stream}")?;
        }
        if let (Some(expected), Some(found)) = (&inner.expected, &inner.found) {
            write!(f, " (expected {expected}, found {found})")?;
        }
        if let Some(source) = &inner.source {
            write!(f, ": {source}")?;
        }
        let retry = if inner.kind.retry_may_help() { "retry is safe" } else { "no retry" };
        write!(f, "; {retry}: {}", inner.advice.as_deref().unwrap_or(inner.kind.advice()))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| -> &(dyn std::error::Error + 'static) { source })
    }
}
