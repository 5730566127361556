//! Why there is no certificate: whose fault it is, and with that how soon to try again.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use instant_acme::AuthorizationStatus;
use tokio::task::JoinError;

use super::http::HttpError;
use super::store::StoreError;
use crate::tls::{NoProof, NotOurs};

/// What an authority says may be long; so much of it goes into a line of the log.
const WORDS_MAX: usize = 1000;

/// Why an order came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the authority cannot be asked")]
    Unreachable(#[source] Box<HttpError>),
    #[error("the authority refuses, or is not understood")]
    Refused(#[source] instant_acme::Error),
    #[error("the authority offers no {wanted} for it, but {offered}")]
    NotOffered {
        wanted: &'static str,
        offered: String,
    },
    #[error("the authority's authorization is {0:?}")]
    Authorization(AuthorizationStatus),
    #[error("the authority was not convinced by {challenge}: {why}")]
    NotProven {
        challenge: &'static str,
        why: String,
    },
    #[error("the order took longer than {0:?}")]
    Late(Duration),
    #[error("what the authority gave is not what was asked for")]
    NotOurs(#[from] NotOurs),
    #[error("the new certificate is due for renewal already: is the clock right?")]
    DueAlready,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoProof(#[from] NoProof),
    #[error("the order broke off, which is an error of holdfast")]
    Broken(#[source] JoinError),
}

/// Whether the authority has counted a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// It has, and refuses everybody who fails too often.
    Yes,
    /// It has not even understood that there was one.
    No,
}

impl Failure {
    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Unreachable(_) => Counts::No,
            Self::Refused(_) if self.is_of_unknown_account() => Counts::No,
            Self::Refused(_)
            | Self::NotOffered { .. }
            | Self::Authorization(_)
            | Self::NotProven { .. }
            | Self::Late(_)
            | Self::NotOurs(_)
            | Self::DueAlready
            | Self::Store(_)
            | Self::NoProof(_)
            | Self::Broken(_) => Counts::Yes,
        }
    }

    /// The account is none of the authority's (RFC 8555, 6.7).
    pub(super) fn is_of_unknown_account(&self) -> bool {
        let unknown = Some("urn:ietf:params:acme:error:accountDoesNotExist");
        matches!(self, Self::Refused(instant_acme::Error::Api(problem))
            if problem.r#type.as_deref() == unknown)
    }
}

impl From<instant_acme::Error> for Failure {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            // What our own HTTP client says comes back in this clothing.
            instant_acme::Error::Other(other) => match other.downcast::<HttpError>() {
                Ok(error) => Self::Unreachable(error),
                Err(other) => Self::Refused(instant_acme::Error::Other(other)),
            },
            error => Self::Refused(error),
        }
    }
}

/// An error with all its causes, in one line of bounded length.
pub(super) fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a text never fails.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    shortened(&text)
}

/// The text without what would break a line, and no longer than a line may be.
pub(super) fn shortened(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_its_causes_in_one_line() {
        let io = std::io::Error::other("one\ntwo");
        let failure = Failure::Unreachable(Box::new(HttpError::Connect {
            host: "a.example".to_owned(),
            error: io,
        }));
        let told = whole(&failure);
        assert!(
            told.starts_with("the authority cannot be asked: "),
            "{told}"
        );
        assert!(told.ends_with(": one two"), "{told}");
        assert_eq!(shortened(&"x".repeat(5000)).len(), WORDS_MAX);
    }

    #[test]
    fn an_authority_that_cannot_be_reached_has_counted_nothing() {
        let error = HttpError::Late(Duration::ZERO);
        let failure = Failure::from(instant_acme::Error::Other(Box::new(error)));
        assert_eq!(failure.counts(), Counts::No);
        let failure = Failure::from(instant_acme::Error::Crypto);
        assert_eq!(failure.counts(), Counts::Yes);
    }
}
