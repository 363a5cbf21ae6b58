//! What a receiver's answer comes to.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use crate::buffer::sink::Answer;
use crate::clock::{self, Timestamp};
use crate::limits;

/// How long the rest of an answer is waited for: what it says is known by then.
const REST: Duration = Duration::from_secs(1);

/// Takes an answer in; its body is read as far as it is shown, or as the connection is worth.
pub(super) async fn answer_of(response: Response, now: Timestamp) -> Answer {
    let status = response.status();
    let after = retry_after(response.headers(), now);
    if status.is_success() {
        // A connection that was read to the end is used again.
        beginning(response, limits::DRAINED_BYTES).await;
        return Answer::Taken;
    }
    let said = shown(&beginning(response, limits::ANSWER_BYTES).await);
    let why = format!("HTTP {}{}{said}", status.as_u16(), if said.is_empty() { "" } else { ": " });
    if is_passing(status) { Answer::Later { after, why } } else { Answer::Refused { why } }
}

/// Whether it says something of the receiver, and nothing of the message.
fn is_passing(status: StatusCode) -> bool {
    let busy =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    busy || status.is_server_error() || status.is_informational()
}

/// How long the receiver wants to be left alone: seconds, or until a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
            let since = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0));
            at.saturating_sub(since)
        }
    };
    Some(asked.min(limits::RETRY_AFTER))
}

async fn beginning(mut response: Response, most: usize) -> Vec<u8> {
    let mut read = Vec::new();
    let all = async {
        while read.len() < most
            && let Ok(Some(chunk)) = response.chunk().await
        {
            let room = most.saturating_sub(read.len());
            read.extend(chunk.iter().take(room));
        }
    };
    clock::within(REST, all).await;
    read
}

/// For people: one line, without control characters.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn asked(text: &str) -> Option<Duration> {
        let now = Timestamp::from_micros(784_111_777 * 1_000_000);
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]), now)
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_and_has_a_bound() {
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:51:37 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:40:00 GMT"), Some(Duration::ZERO), "it has passed");
        for far in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(asked(far), Some(limits::RETRY_AFTER));
        }
        for nonsense in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_says_something_of_the_receiver_is_later() {
        let later = [408, 425, 429, 500, 501, 502, 503, 504, 599];
        for status in 300..600 {
            let is_later = is_passing(StatusCode::from_u16(status).unwrap());
            assert_eq!(is_later, later.contains(&status) || status >= 500, "{status}");
        }
    }
}
