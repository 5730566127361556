//! The gate: how many requests run on a release, and a bolt that is shot once.
//!
//! A release is retired only when its gate is closed and empty, so the two facts must never be read apart: the closed
//! bit and the count share one word, and a word whose bit is set can only fall. Every worker has words of its own, so
//! that a request costs no traffic between cores. A gate must never be opened again: whoever wants an open one makes a
//! new one.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicUsize, Lock, Ordering};

/// What a request's method may do (RFC 9110, 9.2.1): drains of writes need not wait for reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// GET, HEAD, OPTIONS, TRACE.
    Safe,
    /// Every other method, known or not.
    Unsafe,
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

impl Classes {
    /// Neither class.
    pub const NONE: Self = Self(0);
    /// Safe methods.
    pub const SAFE: Self = Self(1);
    /// Methods that may change something.
    pub const UNSAFE: Self = Self(2);
    /// Both classes.
    pub const ALL: Self = Self(3);

    /// These, and `class`.
    #[must_use]
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | 1 << class as u8)
    }

    /// Whether `class` is among them.
    pub const fn has(self, class: Class) -> bool {
        self.0 & 1 << class as u8 != 0
    }
}

/// Counts the requests that run behind one published table; closed once and for ever.
pub struct Gate {
    cells: Box<[Cell]>,
    /// Tasks that wait for the gate to be empty. Registered and re-checked under this lock; see [`Gate::poll_empty`].
    waiting: Lock<Vec<Waker>>,
}

/// One worker's words, away from those of others: 128 octets, as x86 fetches cache lines in pairs.
#[repr(align(128))]
struct Cell([AtomicUsize; 2]);

/// Set in every word of a closed gate.
const CLOSED: usize = 1;
/// One running request.
const ONE: usize = 2;

impl Gate {
    /// An open gate for workers `0..workers` (at least one).
    pub fn new(workers: usize) -> Self {
        let cell = |_| Cell([AtomicUsize::new(0), AtomicUsize::new(0)]);
        Self {
            cells: (0..workers.max(1)).map(cell).collect(),
            waiting: Lock::new(Vec::new()),
        }
    }

    /// Counts one more request of `class`, unless the gate is closed: then `false`, for ever.
    ///
    /// After `false` everything that happened before [`Gate::close`] is visible to the caller, in particular the newer
    /// table. After `true`, [`Gate::leave`] must be called exactly once, with the same arguments.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn try_enter(&self, worker: usize, class: Class) -> bool {
        let word = self.word(worker, class);
        // Acquire, here and when the exchange fails: a caller that finds the bit set must see what the closer had
        // published before its Release, or it would reload the old table.
        let mut seen = word.load(Ordering::Acquire);
        while seen & CLOSED == 0 {
            // Relaxed when it succeeds: an entry reads nothing that somebody else wrote. That it is counted is settled
            // by the word's own modification order, in which it stands before the closed bit.
            match word.compare_exchange_weak(seen, seen + ONE, Ordering::Relaxed, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Takes back one successful [`Gate::try_enter`] of the same worker and class. May be called from any thread.
    ///
    /// # Panics
    ///
    /// If nobody is inside, or there is no such worker.
    pub fn leave(&self, worker: usize, class: Class) {
        // Release: what the request did happens before whoever finds the word empty (an Acquire) goes on. Entries,
        // other leaves and the close are read-modify-writes and so continue the release sequence.
        let before = self.word(worker, class).fetch_sub(ONE, Ordering::Release);
        assert!(before >= ONE, "a request left a gate it had not entered");
        if before == ONE | CLOSED {
            self.wake_all();
        }
    }

    /// Lets nobody in from now on. Closing twice is the same as closing once.
    ///
    /// When this returns, every later `try_enter` fails; those that succeeded are counted.
    pub fn close(&self) {
        for cell in &self.cells {
            for word in &cell.0 {
                // Release: a failed entry must see the table that was published before. The bit's place in the word's
                // modification order parts those who are counted from those who are refused.
                word.fetch_or(CLOSED, Ordering::Release);
            }
        }
        // Those who asked before the gate was closed, and find it empty already: nobody will leave and tell them.
        self.wake_all();
    }

    /// Whether [`Gate::close`] has closed every word.
    pub fn is_closed(&self) -> bool {
        // Words are closed in order, so the last one speaks for all. Acquire: what came before the close is visible,
        // the other bits among it.
        self.cells
            .last()
            .is_some_and(|cell| cell.0[1].load(Ordering::Acquire) & CLOSED != 0)
    }

    /// How many requests of these classes run. Exact once the gate is closed and nobody leaves meanwhile; before that
    /// a sum over words that were read one after the other.
    pub fn running(&self, classes: Classes) -> u64 {
        // Acquire: whoever reads zero of a closed gate may go on as if it had awaited `empty`.
        let count = |word: &AtomicUsize| (word.load(Ordering::Acquire) / ONE) as u64;
        self.words(classes).map(count).sum()
    }

    /// Ready once the gate is closed and no request of these classes runs; for ever after.
    ///
    /// Several tasks may wait at once. A task that polled and lost interest is woken once for nothing.
    pub fn poll_empty(&self, cx: &mut Context<'_>, classes: Classes) -> Poll<()> {
        if self.is_empty(classes) {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        // Look again, now that we are registered. Whoever empties a word does so before it takes this lock: if it took
        // it before us, the lock shows us the empty word; if after us, it finds our waker. Hence no SeqCst anywhere.
        if self.is_empty(classes) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Resolves once the gate is closed and no request of these classes runs. Cancel-safe.
    pub async fn empty(&self, classes: Classes) {
        poll_fn(|cx| self.poll_empty(cx, classes)).await;
    }

    fn is_empty(&self, classes: Classes) -> bool {
        // A closed word only falls, so words that were seen empty one after the other are empty together. Acquire
        // pairs with the Release of those who left.
        self.is_closed()
            && self
                .words(classes)
                .all(|word| word.load(Ordering::Acquire) == CLOSED)
    }

    /// A closed word gets empty once, so this is called at most once for each word and once for each close.
    fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.waiting.lock());
        woken.into_iter().for_each(Waker::wake);
    }

    fn word(&self, worker: usize, class: Class) -> &AtomicUsize {
        &self.cells[worker].0[class as usize]
    }

    fn words(&self, classes: Classes) -> impl Iterator<Item = &AtomicUsize> {
        let asked = [Class::Safe, Class::Unsafe]
            .into_iter()
            .filter(move |class| classes.has(*class));
        asked.flat_map(|class| self.cells.iter().map(move |cell| &cell.0[class as usize]))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("closed", &self.is_closed())
            .field("safe", &self.running(Classes::SAFE))
            .field("unsafe", &self.running(Classes::UNSAFE))
            .finish()
    }
}
