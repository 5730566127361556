//! Session tickets (RFC 8446, 4.6.1; RFC 5077), sealed with keys of our own: rustls's cannot be told to the process that
//! takes over, and each client would have to shake hands anew.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};

/// A key seals so long; what it has sealed is opened as long again.
const SEALS: Duration = Duration::from_secs(6 * 60 * 60);
/// How long a client may keep a ticket.
const LIFETIME_S: u32 = 6 * 60 * 60;

const NAME_LEN: usize = 16;
const SECRET_LEN: usize = 32;

/// The keys of this process, and of those that take over from it: none as long as no listener has tickets. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct TicketKeys(Arc<RwLock<Option<Ring>>>);

struct Ring {
    now: Arc<Key>,
    before: Option<Arc<Key>>,
}

struct Key {
    told: Told,
    sealing: RandomizedNonceKey,
    born: Instant,
}

/// A key as another process is told it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    name: [u8; NAME_LEN],
    secret: [u8; SECRET_LEN],
    age: Duration,
}

/// There is no randomness, or a key is none.
#[derive(Debug, thiserror::Error)]
#[error("no key for session tickets can be made")]
pub(crate) struct NoKey;

/// Seals and opens the tickets of one listener.
pub(super) struct Tickets {
    keys: TicketKeys,
    /// What a session was begun for. One that was begun elsewhere may not be resumed here: others may be let in there.
    purpose: [u8; SHA256_OUTPUT_LEN],
}

impl TicketKeys {
    /// Those of another process, the newest first.
    pub(crate) fn of(told: Vec<Told>) -> Result<Self, NoKey> {
        let mut keys = told.into_iter().map(Key::of);
        let Some(now) = keys.next() else {
            return Ok(Self::default());
        };
        let ring = Ring {
            now: Arc::new(now?),
            before: keys.next().transpose()?.map(Arc::new),
        };
        Ok(Self(Arc::new(RwLock::new(Some(ring)))))
    }

    /// For another process, the newest first.
    pub(crate) fn tell(&self) -> Vec<Told> {
        let ring = self.read();
        let keys = ring.iter().flat_map(Ring::keys);
        keys.map(|key| key.tell()).collect()
    }

    /// From now on there is one.
    pub(super) fn begin(&self) -> Result<(), NoKey> {
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ring.is_none() {
            let now = Arc::new(Key::random()?);
            *ring = Some(Ring { now, before: None });
        }
        Ok(())
    }

    /// The key that seals now.
    fn sealing(&self) -> Option<Arc<Key>> {
        let now = self.read().as_ref()?.now.clone();
        if now.born.elapsed() < SEALS {
            return Some(now);
        }
        let fresh = Arc::new(Key::random().ok()?);
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let ring = ring.as_mut()?;
        // Somebody else may have been first.
        if Arc::ptr_eq(&ring.now, &now) {
            ring.before = Some(std::mem::replace(&mut ring.now, fresh));
        }
        Some(ring.now.clone())
    }

    fn named(&self, name: &[u8]) -> Option<Arc<Key>> {
        let ring = self.read();
        let key = ring.as_ref()?.keys().find(|key| key.told.name == name)?;
        (key.born.elapsed() < 2 * SEALS).then(|| key.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Ring>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        std::iter::once(&self.now).chain(&self.before)
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys")
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
}

impl Key {
    fn random() -> Result<Self, NoKey> {
        let mut told = Told {
            name: [0; NAME_LEN],
            secret: [0; SECRET_LEN],
            age: Duration::ZERO,
        };
        rand::fill(&mut told.name).map_err(|_| NoKey)?;
        rand::fill(&mut told.secret).map_err(|_| NoKey)?;
        Self::of(told)
    }

    fn of(told: Told) -> Result<Self, NoKey> {
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &told.secret);
        let now = Instant::now();
        Ok(Self {
            sealing: sealing.map_err(|_| NoKey)?,
            born: now.checked_sub(told.age).unwrap_or(now),
            told,
        })
    }

    fn tell(&self) -> Told {
        let age = self.born.elapsed();
        Told {
            age,
            ..self.told.clone()
        }
    }
}

impl Tickets {
    /// Of the listener with this name, which lets in the clients with certificates of these authorities.
    pub(super) fn new(
        keys: &TicketKeys,
        listener: &str,
        clients: Option<(&Path, bool)>,
    ) -> io::Result<Self> {
        let mut context = Context::new(&SHA256);
        context.update(listener.as_bytes());
        if let Some((authorities, required)) = clients {
            context.update(&[0, u8::from(required)]);
            context.update(&fs::read(authorities)?);
        }
        let mut purpose = [0; SHA256_OUTPUT_LEN];
        purpose.copy_from_slice(context.finish().as_ref());
        let keys = keys.clone();
        Ok(Self { keys, purpose })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

/// A ticket is its key's name, a nonce, and what is sealed.
impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.sealing()?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .sealing
            .seal_in_place_append_tag(Aad::from(self.purpose), &mut sealed)
            .ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&key.told.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_LEN)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let key = self.keys.named(name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let plain = key
            .sealing
            .open_in_place(nonce, Aad::from(self.purpose), &mut opened)
            .ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TicketKeys {
        let keys = TicketKeys::default();
        keys.begin().unwrap();
        keys
    }

    fn tickets(keys: &TicketKeys, listener: &str) -> Tickets {
        Tickets::new(keys, listener, None).unwrap()
    }

    fn older(mut told: Vec<Told>, by: Duration) -> Vec<Told> {
        told.iter_mut().for_each(|key| key.age += by);
        told
    }

    #[test]
    fn another_process_opens_what_this_one_has_sealed() {
        let keys = keys();
        let ticket = tickets(&keys, "a").encrypt(b"a session").unwrap();
        let told = serde_json::to_vec(&keys.tell()).unwrap();
        let theirs = TicketKeys::of(serde_json::from_slice(&told).unwrap()).unwrap();
        assert_eq!(
            tickets(&theirs, "a").decrypt(&ticket).unwrap(),
            b"a session"
        );
        assert_eq!(
            tickets(&theirs, "b").decrypt(&ticket),
            None,
            "another listener"
        );
        let stranger = self::keys();
        assert_eq!(tickets(&stranger, "a").decrypt(&ticket), None);
    }

    #[test]
    fn there_is_no_key_before_a_listener_needs_one_and_then_it_stays() {
        let keys = TicketKeys::of(TicketKeys::default().tell()).unwrap();
        assert!(keys.tell().is_empty());
        assert_eq!(tickets(&keys, "a").encrypt(b"x"), None);
        keys.begin().unwrap();
        let ticket = tickets(&keys, "a").encrypt(b"x").unwrap();
        keys.begin().unwrap();
        assert!(tickets(&keys, "a").decrypt(&ticket).is_some());
    }

    #[test]
    fn a_session_is_not_resumed_where_other_authorities_vouch_for_clients() {
        let keys = keys();
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, "one").unwrap();
        std::fs::write(&other, "other").unwrap();
        let of = |clients| Tickets::new(&keys, "a", clients).unwrap();
        let ticket = of(Some((&one, true))).encrypt(b"x").unwrap();
        assert!(of(Some((&one, true))).decrypt(&ticket).is_some());
        for clients in [None, Some((&*other, true)), Some((&*one, false))] {
            assert_eq!(of(clients).decrypt(&ticket), None, "{clients:?}");
        }
    }

    #[test]
    fn a_key_seals_six_hours_and_opens_twelve() {
        let keys = keys();
        let ticket = tickets(&keys, "a").encrypt(b"x").unwrap();
        let later = TicketKeys::of(older(keys.tell(), SEALS)).unwrap();
        let tickets_later = tickets(&later, "a");
        let newer = tickets_later.encrypt(b"y").unwrap();
        assert_ne!(newer[..NAME_LEN], ticket[..NAME_LEN], "another key");
        assert_eq!(tickets_later.decrypt(&ticket).unwrap(), b"x");
        let last = TicketKeys::of(older(later.tell(), SEALS)).unwrap();
        assert_eq!(tickets(&last, "a").decrypt(&ticket), None, "twelve hours");
        assert_eq!(tickets(&last, "a").decrypt(&newer).unwrap(), b"y");
    }

    #[test]
    fn what_is_no_ticket_is_none() {
        let keys = keys();
        let tickets = tickets(&keys, "a");
        let ticket = tickets.encrypt(b"x").unwrap();
        for len in 0..ticket.len() {
            assert_eq!(tickets.decrypt(&ticket[..len]), None, "{len} octets of it");
        }
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "octet {at} changed");
        }
    }
}
