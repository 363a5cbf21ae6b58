//! Where an HTTP receiver is.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::error::{Error, Result};

/// An URL that messages may be sent to. Shown without its query, which may hold a token.
#[derive(Clone)]
pub(super) struct Address(Url);

impl Address {
    /// Checks an URL. What is wrong with it is said without showing it.
    pub(super) fn new(url: &str, allow_plain: bool) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| wrong("cannot be read").caused_by(error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("has another scheme").expected("http or https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has credentials in it")
                .advice("take them out: URLs are logged. Sign the messages with `HttpSink::signed`"));
        }
        let address = Self(url);
        if address.0.scheme() == "http" && !allow_plain && !address.is_loopback() {
            return Err(wrong("is plain HTTP to another machine")
                .expected("https", &address)
                .advice("use https, or say `allow_plain_http` in the settings"));
        }
        Ok(address)
    }

    fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }
}

fn wrong(what: &str) -> Error {
    Error::invalid(format!("the URL of an HTTP sink {what}"))
        .advice("give an absolute URL, such as https://ledger.example/messages")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        shown.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
