//! The sink itself.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use crate::buffer::delivery::{CLOUD_EVENT, Delivery};
use crate::buffer::sink::{Answer, Sink};
use crate::buffer::sinks::http::address::Address;
use crate::buffer::sinks::http::answer::answer_of;
use crate::buffer::sinks::http::secret::SigningSecret;
use crate::buffer::sinks::http::settings::HttpSettings;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};

/// Posts messages to an URL, as CloudEvents in JSON.
///
/// Each try is one `POST` of [`Delivery::cloud_event`] with the message's id as `idempotency-key`, over HTTP/1.1, by no
/// proxy, and follows no redirect. TLS is verified by the machine's certificates (`SSL_CERT_FILE` names others).
///
/// | the receiver | the answer |
/// |---|---|
/// | 2xx | [`Taken`](Answer::Taken) |
/// | 408, 425, 429, 5xx | [`Later`](Answer::Later), after its `Retry-After`, a day at most |
/// | another status | [`Refused`](Answer::Refused), with the beginning of what it said |
/// | no connection, no TLS, no answer in time | [`Later`](Answer::Later) |
///
/// A receiver should answer when it has the message for good, and know messages by their id that it has already.
///
/// ```
/// use sidestream::buffer::{HttpSettings, HttpSink, SigningSecret};
///
/// let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?; // from your configuration
/// let sink = HttpSink::new("https://ledger.example/messages", HttpSettings::default())?.signed(secret);
/// # Ok::<(), sidestream::Error>(())
/// ```
#[derive(Clone)]
pub struct HttpSink {
    client: Client,
    address: Address,
    secret: Option<SigningSecret>,
    permits: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl HttpSink {
    /// A sink to this URL. Nothing is sent yet: [`check`](Self::check) tells whether somebody is there.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the URL cannot be read, is neither HTTP nor HTTPS, has credentials in it, or is
    /// plain HTTP to another machine; when a setting breaks its bound.
    pub fn new(url: &str, settings: HttpSettings) -> Result<Self> {
        settings.check()?;
        let address = Address::new(url, settings.allow_plain_http)?;
        let client = client(&settings)?;
        let permits = Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS)));
        Ok(Self { client, address, secret: None, permits, clock: Arc::new(SystemClock) })
    }

    /// Signs each message, as the Standard Webhooks specification says: `webhook-id`, `webhook-timestamp` and
    /// `webhook-signature`.
    #[must_use]
    pub fn signed(mut self, secret: SigningSecret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Takes the times of signatures, and of dates in `Retry-After`, from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Whether somebody answers there, whatever they say: by a `HEAD`, without a message. For the start of a service, which
    /// may as well start without: messages wait.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable), with the reason, when nobody does.
    pub async fn check(&self) -> Result<()> {
        match self.client.head(self.address.url()).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the destination {} cannot be reached: {}", self.address, reason(error)),
            )
            .advice("messages wait until it can be; see that the URL is right and the receiver runs")),
        }
    }

    fn headers(&self, id: &str, body: &[u8]) -> Option<HeaderMap> {
        let id_value = HeaderValue::from_str(id).ok()?;
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(CLOUD_EVENT)),
            (HeaderName::from_static("idempotency-key"), id_value.clone()),
        ]);
        if let Some(secret) = &self.secret {
            let seconds = self.clock.now().as_micros().div_euclid(1_000_000);
            let signature = HeaderValue::from_str(&secret.sign(id, seconds, body)).ok()?;
            headers.insert("webhook-id", id_value);
            headers.insert("webhook-timestamp", HeaderValue::from(seconds));
            headers.insert("webhook-signature", signature);
        }
        Some(headers)
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn send(&self, delivery: &Delivery) -> Answer {
        let body = match delivery.cloud_event() {
            Ok(body) => body,
            Err(error) => return Answer::refused(error),
        };
        let Some(headers) = self.headers(&delivery.message.id.to_string(), &body) else {
            return Answer::refused("its id is no header's value");
        };
        let Ok(_permit) = self.permits.acquire().await else {
            return Answer::later("the sink is closed");
        };
        match self.client.post(self.address.url()).headers(headers).body(body).send().await {
            Ok(response) => answer_of(response, self.clock.now()).await,
            Err(error) => Answer::later(reason(error)),
        }
    }
}

fn client(settings: &HttpSettings) -> Result<Client> {
    fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::invalid("an HTTP client cannot be made").caused_by(error)
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .use_preconfigured_tls(tls)
        .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
        .timeout(Duration::from_millis(settings.timeout_ms))
        .pool_max_idle_per_host(settings.connections)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(concat!("sidestream/", env!("CARGO_PKG_VERSION")));
    client.build().map_err(failed)
}

/// What went wrong, down to its cause; without the URL, whose query may hold a token.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

impl fmt::Debug for HttpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSink")
            .field("address", &self.address)
            .field("is_signed", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}
