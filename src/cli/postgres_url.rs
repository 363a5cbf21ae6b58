//! The address of a database, as it is typed.

use std::fmt;

/// A `postgres://` URL. It may hold a password, so it is shown without one, and is only read when it is used: what
/// a command line's parser refuses, it shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PostgresUrl(String);

impl PostgresUrl {
    /// Takes what begins as such a URL does.
    pub(super) fn of(text: &str) -> Option<Self> {
        let is_one = text.starts_with("postgres://") || text.starts_with("postgresql://");
        is_one.then(|| Self(text.to_owned()))
    }

    /// The whole of it, the password included.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", ""));
        // A password may stand in the options, too.
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((who, place)) => {
                let user = who.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{place}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://u:secret@h:5432/d", "postgres://u@h:5432/d"),
            ("postgresql://u:se:cr@et@h1,h2/d?password=secret", "postgresql://u@h1,h2/d"),
            ("postgres://h/d", "postgres://h/d"),
        ] {
            let url = PostgresUrl::of(url).expect("a URL");
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
        assert_eq!(PostgresUrl::of("sqlite:bench.db"), None);
    }
}
