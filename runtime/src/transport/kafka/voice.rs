//! What librdkafka says beside its answers: its log goes to `tracing`, its errors are remembered, since they tell why a
//! request got no answer; and what its error codes mean to a caller.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::{
    client::ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use crate::error::{Error, ErrorKind};

/// The callbacks of a client.
#[derive(Debug, Default)]
pub(super) struct Voice {
    heard: Mutex<Option<(Code, String)>>,
}

impl Voice {
    /// Why the broker does not answer, if librdkafka has said it since the last call.
    pub(super) fn take(&self) -> Option<(Code, String)> {
        lock(&self.heard).take()
    }
}

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(target: "domain_events::kafka", "{facility}: {message}");
            }
            // A broker that is away is reported by whoever waits for it; librdkafka repeats it with every try.
            _ => tracing::debug!(target: "domain_events::kafka", "{facility}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "domain_events::kafka", "{error}: {reason}");
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut heard = lock(&self.heard);
        // "All brokers are down" follows each cause and says less.
        let says_more = |(before, _): &(Code, String)| {
            kind_of(*before) == ErrorKind::Configuration
                || (code == Code::AllBrokersDown && *before != Code::AllBrokersDown)
        };
        if !heard.as_ref().is_some_and(says_more) {
            *heard = Some((code, reason.to_owned()));
        }
    }
}

/// Whether somebody has to change something first, or trying again can help.
pub(super) fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::SSL
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidArgument
        | Code::PolicyViolation
        | Code::MessageSizeTooLarge => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    }
}

/// An error of a request; `heard` is what was said about it beside the answer.
pub(super) fn failed(doing: &str, broker: &str, code: Code, heard: Option<(Code, String)>) -> Error {
    let (code, detail) = match heard {
        Some((said, detail)) if kind_of(code) != ErrorKind::Configuration => (said, format!(": {detail}")),
        _ => (code, String::new()),
    };
    let next = match code {
        Code::Authentication | Code::SaslAuthenticationFailed => "; check user and password in the transport's address",
        Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            "; give the user the right, or create the topic yourself"
        }
        Code::MessageSizeTooLarge => "; raise `message.max.bytes` on the broker and `max.message.bytes` of the topic",
        _ => "",
    };
    Error::new(kind_of(code), format!("{doing} at {broker} failed: {code}{detail}{next}"))
}

/// The same, from a client's error.
pub(super) fn failure(doing: &str, broker: &str, error: &KafkaError, heard: Option<(Code, String)>) -> Error {
    // The crate finds no code in an error of the admin's.
    let code = if let KafkaError::AdminOp(code) = error { Some(*code) } else { error.rdkafka_error_code() };
    match code {
        Some(code) => failed(doing, broker, code, heard),
        None => {
            let kind = match error {
                // Such as authorities that are none.
                KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..) => ErrorKind::Configuration,
                _ => ErrorKind::Unavailable,
            };
            Error::new(kind, format!("{doing} at {broker} failed: {error}"))
        }
    }
}

/// The state is changed in whole steps, so that a panic elsewhere leaves it whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_remembered_and_not_that_all_brokers_are_down() {
        let voice = Voice::default();
        voice.error(KafkaError::Global(Code::Authentication), "broker:9092: wrong password");
        voice.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        let heard = voice.take();
        assert_eq!(heard.as_ref().map(|(code, _)| *code), Some(Code::Authentication));
        let error = failed("publishing", "kafka://broker", Code::MessageTimedOut, heard);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("wrong password") && error.to_string().contains("check user"), "{error}");
        assert!(voice.take().is_none());
    }
}
