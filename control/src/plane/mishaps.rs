//! The errors of releases beside the live one, told to whoever looks on. A message, not a state: bounded, and what there is
//! no room for is counted instead of told. No request ever waits for whoever reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::mpsc;

use super::Mishap;

/// So many may wait to be read.
const WAITING_MAX: usize = 256;

/// Where mishaps are told. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub struct Teller {
    to: mpsc::Sender<Mishap>,
    dropped: Arc<AtomicU64>,
}

/// Where mishaps come from: one reader.
#[derive(Debug)]
pub struct Mishaps {
    from: mpsc::Receiver<Mishap>,
    dropped: Arc<AtomicU64>,
}

/// A connected pair.
pub fn mishaps() -> (Teller, Mishaps) {
    let (to, from) = mpsc::channel(WAITING_MAX);
    let dropped = Arc::<AtomicU64>::default();
    let teller = Teller {
        to,
        dropped: dropped.clone(),
    };
    (teller, Mishaps { from, dropped })
}

impl Teller {
    /// Tells what `make` makes, which is not asked if there is no room for it.
    pub fn tell(&self, make: impl FnOnce() -> Mishap) {
        match self.to.try_reserve() {
            Ok(room) => room.send(make()),
            Err(_) => drop(self.dropped.fetch_add(1, Relaxed)),
        }
    }
}

impl Mishaps {
    /// The next one; none when nobody is left who could tell one. Cancel-safe.
    pub async fn next(&mut self) -> Option<Mishap> {
        self.from.recv().await
    }

    /// How many there was no room for since the process began.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mishap(number: usize) -> Mishap {
        Mishap {
            app: "web".parse().unwrap(),
            arm: None,
            release: "two".parse().unwrap(),
            instance: None,
            method: "GET".to_owned(),
            path: format!("/{number}"),
            status: Some(500),
            reason: None,
            request_id: String::new(),
        }
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_counted_and_not_even_made() {
        let (teller, mut mishaps) = mishaps();
        (0..WAITING_MAX).for_each(|number| teller.tell(|| mishap(number)));
        teller.tell(|| panic!("made"));
        assert_eq!(mishaps.dropped(), 1);
        assert_eq!(mishaps.next().await.unwrap().path, "/0");
        teller.tell(|| mishap(WAITING_MAX));
        assert_eq!(mishaps.dropped(), 1);
        drop(teller);
        let mut last = None;
        while let Some(mishap) = mishaps.next().await {
            last = Some(mishap.path);
        }
        assert_eq!(last, Some(format!("/{WAITING_MAX}")));
    }
}
