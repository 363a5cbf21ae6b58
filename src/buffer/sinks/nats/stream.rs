//! Whether a stream keeps what it acknowledges.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, StorageType};

use crate::buffer::sinks::nats::settings::NatsSettings;
use crate::error::{Error, ErrorKind, Result};

/// Reads the stream's configuration, and refuses one that loses messages or takes others.
pub(super) async fn check(context: &Context, settings: &NatsSettings) -> Result<()> {
    let NatsSettings { stream: name, .. } = settings;
    match context.get_stream(name).await {
        Ok(stream) => suits(&stream.cached_info().config, settings),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(ref code) if code.code() == 404 => {
                Err(Error::invalid(format!("there is no JetStream stream {name}")).advice(make(settings)))
            }
            _ => {
                Err(Error::new(ErrorKind::Unavailable, format!("the JetStream stream {name} cannot be read"))
                    .caused_by(error)
                    .advice(
                        "see that the server runs with JetStream (-js), and that this account may use it",
                    ))
            }
        },
    }
}

fn suits(config: &Config, settings: &NatsSettings) -> Result<()> {
    let name = &settings.stream;
    let least = Duration::from_millis(settings.duplicate_window_ms);
    let wrong = |what: &str| Error::invalid(format!("the JetStream stream {name} {what}"));
    if config.duplicate_window < least {
        return Err(wrong("forgets ids too early")
            .expected(format!("a duplicate window of {least:?}"), format!("{:?}", config.duplicate_window))
            .advice(format!("nats stream edit {name} --dupe-window={}s", least.as_secs())));
    }
    if config.storage == StorageType::Memory && !settings.allow_memory {
        return Err(wrong("is kept in memory")
            .expected("storage in files", "storage in memory")
            .advice("make it anew with --storage=file, or say `allow_memory` in the settings"));
    }
    if config.no_ack {
        return Err(wrong("acknowledges nothing").advice("make it without --no-ack"));
    }
    let prefix = &settings.prefix;
    if !config.subjects.iter().any(|subject| may_take(subject, prefix)) {
        return Err(wrong("does not take these subjects")
            .expected(format!("{prefix}>"), format!("{:?}", config.subjects))
            .advice(format!("nats stream edit {name} --subjects='{prefix}>'")));
    }
    Ok(())
}

/// Whether there can be a topic that makes a subject with this prefix one of a pattern's.
fn may_take(pattern: &str, prefix: &str) -> bool {
    let tokens: Vec<_> = prefix.split('.').collect();
    // The last one is the beginning of a token that the topic completes.
    let (last, whole) = tokens.split_last().unwrap_or((&"", &[]));
    let mut wanted = pattern.split('.');
    for token in whole {
        match wanted.next() {
            Some(">") => return true,
            Some(found) if found == "*" || found == *token => {}
            _ => return false,
        }
    }
    wanted.next().is_some_and(|found| matches!(found, ">" | "*") || found.starts_with(last))
}

fn make(settings: &NatsSettings) -> String {
    let NatsSettings { stream, prefix, duplicate_window_ms, .. } = settings;
    let seconds = Duration::from_millis(*duplicate_window_ms).as_secs();
    format!(
        "make it: nats stream add {stream} --subjects='{prefix}>' --storage=file --retention=limits --discard=new \
         --dupe-window={seconds}s"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_subjects_of_a_prefix_or_not() {
        for pattern in [">", "bank.>", "bank.*", "*.>", "bank.payments.captured"] {
            assert!(may_take(pattern, "bank."), "{pattern}");
        }
        for pattern in ["other.>", "bank", "banks.>"] {
            assert!(!may_take(pattern, "bank."), "{pattern}");
        }
        assert!(may_take("bank-eu.>", "bank-") && may_take("payments.captured", ""));
    }

    #[test]
    fn a_stream_that_loses_messages_is_refused() {
        let settings =
            NatsSettings { stream: "S".to_owned(), prefix: "bank.".to_owned(), ..NatsSettings::default() };
        let good = Config {
            subjects: vec!["bank.>".to_owned()],
            duplicate_window: Duration::from_secs(120),
            ..Config::default()
        };
        suits(&good, &settings).unwrap();
        for (bad, why) in [
            (Config { duplicate_window: Duration::from_secs(119), ..good.clone() }, "dupe-window=120s"),
            (Config { storage: StorageType::Memory, ..good.clone() }, "memory"),
            (Config { no_ack: true, ..good.clone() }, "acknowledges nothing"),
            (Config { subjects: vec!["other.>".to_owned()], ..good.clone() }, "bank.>"),
        ] {
            let error = suits(&bad, &settings).unwrap_err();
            assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(why), "{error}");
        }
    }
}
