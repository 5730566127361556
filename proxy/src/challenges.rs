//! What an ACME authority may ask at the moment, and what it is answered: by a resource (http-01, RFC 8555, 8.3) or by
//! a certificate (tls-alpn-01, RFC 8737).
//!
//! Mostly there is nothing: requests and handshakes look at one number then, and go on.
#![cfg_attr(
    not(feature = "acme"),
    expect(dead_code, reason = "nobody asks for certificates")
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::tls::Proof;

/// Where an authority looks for a token.
const PREFIX: &str = "/.well-known/acme-challenge/";

/// Everything that may be asked.
#[derive(Default)]
pub(crate) struct Challenges {
    /// How many there are.
    count: AtomicUsize,
    open: RwLock<Open>,
}

#[derive(Default)]
struct Open {
    /// By token.
    resources: HashMap<String, Bytes>,
    /// By host, in lower case.
    certificates: HashMap<String, Proof>,
}

/// One challenge. Its drop ends it.
pub(crate) struct Pending {
    challenges: Arc<Challenges>,
    asked: Asked,
}

enum Asked {
    Resource { token: String },
    Certificate { host: String },
}

impl Challenges {
    /// From now on `content` is at the place of this token.
    pub(crate) fn resource(self: &Arc<Self>, token: &str, content: String) -> Pending {
        self.change(|open| {
            open.resources.insert(token.to_owned(), content.into());
        });
        let token = token.to_owned();
        self.pending(Asked::Resource { token })
    }

    /// From now on whoever asks for this host's proof in a handshake gets this one.
    pub(crate) fn certificate(self: &Arc<Self>, host: &str, proof: Proof) -> Pending {
        self.change(|open| {
            open.certificates.insert(host.to_owned(), proof);
        });
        let host = host.to_owned();
        self.pending(Asked::Certificate { host })
    }

    fn pending(self: &Arc<Self>, asked: Asked) -> Pending {
        let challenges = self.clone();
        Pending { challenges, asked }
    }

    /// Whether anything may be asked.
    pub(crate) fn is_any(&self) -> bool {
        // Pairs with the store in `change`. The authority asks only when it was told to, long after that.
        self.count.load(Ordering::Acquire) > 0
    }

    /// What is at this path, if it is the place of a token that somebody may ask for.
    pub(crate) fn at(&self, path: &str) -> Option<Bytes> {
        if !self.is_any() {
            return None;
        }
        let token = path.strip_prefix(PREFIX)?;
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.resources.get(token).cloned()
    }

    /// What is shown to whoever asks for this host's proof.
    pub(crate) fn of(&self, host: &str) -> Option<Proof> {
        let host = host.to_ascii_lowercase();
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.certificates.get(&host).cloned()
    }

    fn change(&self, change: impl FnOnce(&mut Open)) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut open);
        let count = open.resources.len() + open.certificates.len();
        self.count.store(count, Ordering::Release);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.challenges.change(|open| match &self.asked {
            Asked::Resource { token } => drop(open.resources.remove(token)),
            Asked::Certificate { host } => drop(open.certificates.remove(host)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pending_token_is_answered() {
        let challenges = Arc::<Challenges>::default();
        let place = "/.well-known/acme-challenge/abc";
        assert!(!challenges.is_any());
        assert_eq!(challenges.at(place), None);
        let pending = challenges.resource("abc", "abc.thumb".to_owned());
        assert!(challenges.is_any());
        assert_eq!(challenges.at(place).unwrap(), "abc.thumb");
        for other in [
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/ab",
            "/.well-known/acme-challenge/abc/",
            "/x/.well-known/acme-challenge/abc",
            "/abc",
        ] {
            assert_eq!(challenges.at(other), None, "{other}");
        }
        drop(pending);
        assert!(!challenges.is_any());
        assert_eq!(challenges.at(place), None);
    }
}
