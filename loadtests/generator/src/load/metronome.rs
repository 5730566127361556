//! Wakes on time. Tokio's timer rounds up to the next millisecond, which is longer than most answers take here; a thread
//! that sleeps does not.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Moment;

/// The longest sleep, so that the thread ends soon after its metronome was dropped.
const NAP: Duration = Duration::from_millis(100);

/// When the beats of a steady rate are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    began: Moment,
    rate: f64,
}

/// Wakes its one listener at every beat.
pub(crate) struct Metronome {
    beat: Arc<Notify>,
}

impl Beats {
    /// `rate` a second, the first one at `began`.
    pub(crate) fn new(began: Moment, rate: f64) -> Self {
        let rate = rate.max(0.001);
        Self { began, rate }
    }

    /// When beat `number` is, from 0.
    pub(crate) fn at(self, number: u64) -> Moment {
        self.began + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

impl Metronome {
    pub(crate) fn start(beats: Beats) -> io::Result<Self> {
        let beat = Arc::<Notify>::default();
        let listener = Arc::downgrade(&beat);
        thread::Builder::new()
            .name("metronome".to_owned())
            .spawn(move || wake(&listener, beats))?;
        Ok(Self { beat })
    }

    /// Returns at the next beat, or at once if there was one since the last time. Cancel-safe.
    pub(crate) async fn beat(&self) {
        self.beat.notified().await;
    }
}

fn wake(listener: &Weak<Notify>, beats: Beats) {
    let mut next = 0;
    while let Some(beat) = listener.upgrade() {
        let now = Moment::now();
        if beats.at(next) <= now {
            beat.notify_one();
            while beats.at(next) <= now {
                next += 1;
            }
        }
        drop(beat);
        thread::sleep(beats.at(next).since(now).min(NAP));
    }
}
