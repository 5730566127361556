//! Names and numbers that travel through the whole of Holdfast, each checked once, where it comes in.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name of the asked kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {rule}")]
pub struct BadName {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.chars().all(allowed) {
                    let text = text.chars().take(200).collect();
                    return Err(BadName { kind: $kind, rule: $rule, text });
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

name! {
    /// What requests are routed to: `web`, `api`.
    AppName, "an app's name", 64, word, "1 to 64 of A-Z a-z 0-9 . _ -"
}

name! {
    /// One version of an app: a git SHA, a tag, a build number. It is sent in a response field, so it is visible ASCII.
    ReleaseId, "a release id", 128, |c| word(c) || matches!(c, '+' | ':' | '/' | '@' | '~'),
    "1 to 128 of A-Z a-z 0-9 . _ - + : / @ ~"
}

name! {
    /// One command that changes something, and at the same time its idempotency key.
    OperationId, "an operation id", 64, word, "1 to 64 of A-Z a-z 0-9 . _ -"
}

name! {
    /// A part of the clients that is counted for itself: `canary`, `control`, or an arm of an experiment; and an
    /// experiment.
    ArmName, "the name of an experiment or an arm", 64, word, "1 to 64 of A-Z a-z 0-9 . _ -"
}

impl ArmName {
    /// A name that is written in this crate.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.into())
    }
}

/// Where an instance listens. Names were resolved before the core hears of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket, written `unix:/path`.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName {
            kind: "an instance address",
            rule: "IP:PORT (127.0.0.1:3000, [::1]:3000) or unix:/absolute/path",
            text: text.chars().take(200).collect(),
        };
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && path.len() < 108 => Ok(Self::Unix(path.into())),
            Some(_) => Err(bad()),
            None => match text.parse::<SocketAddr>() {
                Ok(address) if address.port() != 0 => Ok(Self::Tcp(address)),
                _ => Err(bad()),
            },
        }
    }
}

impl TryFrom<String> for Address {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Number of a published table of an app. It only grows, across restarts too.
    Generation
}

number! {
    /// One gate of an app: a number is never used twice, and a closed one never opens again.
    GateId
}

number! {
    /// One round of probing. A result that carries an older number is late and means nothing.
    ProbeId
}
