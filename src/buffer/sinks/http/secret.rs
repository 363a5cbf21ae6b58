//! Signatures, as the Standard Webhooks specification 1.0.0 has them (standardwebhooks.com).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::limits;

/// Says that base64 follows.
const PREFIX: &str = "whsec_";

/// A secret that a sender shares with its receiver, who knows by it that a message is genuine. It is shown nowhere.
#[derive(Clone)]
pub struct SigningSecret(Hmac<Sha256>);

impl SigningSecret {
    /// A secret as text: `whsec_` and base64, as the specification writes it, or any other text, whose bytes are the
    /// secret.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), without showing it, when it has less than 24 bytes or more than 64, or when
    /// there is no base64 behind `whsec_`.
    pub fn new(secret: &str) -> Result<Self> {
        match secret.strip_prefix(PREFIX) {
            Some(text) => {
                let not_base64 = |_| wrong("has `whsec_` and no base64 behind it");
                Self::from_bytes(&STANDARD.decode(text).map_err(not_base64)?)
            }
            None => Self::from_bytes(secret.as_bytes()),
        }
    }

    /// A secret from its bytes.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there are less than 24 or more than 64.
    pub fn from_bytes(secret: &[u8]) -> Result<Self> {
        let (least, most) = (limits::SECRET_BYTES.start(), limits::SECRET_BYTES.end());
        if !limits::SECRET_BYTES.contains(&secret.len()) {
            let found = format!("{} bytes", secret.len());
            return Err(
                wrong("has the wrong length").expected(format!("{least} to {most} random bytes"), found)
            );
        }
        let key = Hmac::new_from_slice(secret).map_err(|_| wrong("cannot be used"))?;
        Ok(Self(key))
    }

    /// The signature of a message: `v1,` and base64.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

fn wrong(what: &str) -> Error {
    Error::invalid(format!("the secret of an HTTP sink {what}"))
        .advice("make one with: echo whsec_$(openssl rand -base64 32)")
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example.
    #[test]
    fn the_specifications_example_is_signed_as_it_says() {
        let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused_and_none_is_ever_shown() {
        for bad in ["", "canary-23-bytes-long-no", "whsec_canary", "whsec_Y2FuYXJ5", &"canary-x".repeat(9)] {
            let error = SigningSecret::new(bad).unwrap_err();
            assert!(error.to_string().contains("secret"), "{error}");
            assert!(bad.is_empty() || !format!("{error} {error:?}").contains(&bad[..bad.len().min(9)]));
        }
        let good = SigningSecret::new("canary-canary-canary-canary").unwrap();
        assert_eq!(format!("{good:?}"), "SigningSecret(…)");
    }
}
