//! Open-loop load: requests start by a schedule, each has an id, and each one's fate is recorded.
//!
//! It runs on a thread of its own, so that who drives it may block or be busy without slowing it down. It must never
//! wait for an answer before it starts the next request, and never call an answer good that it has not verified.

mod companions;
mod connection;
mod crowd;
mod dispatch;
mod exchange;
mod failure;
mod metronome;
mod names;
mod outgoing;
mod plan;
mod pool;
mod tally;
mod trust;
mod tunnel;
mod wire;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

pub use plan::{Mix, Plan, Secure};
pub use tally::Progress;

use crate::clock::Moment;
use crate::run::Run;
use crowd::Crowd;
use dispatch::Command;
use tally::Tally;

/// Why a load could not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No thread, timer or runtime for it.
    #[error("the load could not start: {0}")]
    Start(io::Error),
    /// Its thread has panicked.
    #[error("the load broke down")]
    Broken,
}

/// A load that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Load {
    commands: mpsc::Sender<Command>,
    tally: Arc<Tally>,
    run: oneshot::Receiver<io::Result<Run>>,
}

impl Load {
    /// Starts a load on a thread of its own.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn start(plan: Plan) -> Result<Self, LoadError> {
        crate::limits::raise_descriptors();
        let tally = Arc::<Tally>::default();
        let (commands, commanded) = mpsc::channel(8);
        let (ended, run) = oneshot::channel();
        let shared = tally.clone();
        thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                // Who started it may not want to know.
                let _ = ended.send(run_load(plan, shared, commanded));
            })
            .map_err(LoadError::Start)?;
        Ok(Self {
            commands,
            tally,
            run,
        })
    }

    /// Names this instant; it becomes a line in the pictures.
    pub fn mark(&self, name: impl Into<String>) {
        self.tally.mark(name.into());
    }

    /// How it goes.
    pub fn progress(&self) -> Progress {
        self.tally.progress()
    }

    /// Makes so many clients leave that wait for an answer, the longest waiting first; every second one with a reset.
    /// Returns how many there were.
    pub async fn leave(&self, count: usize) -> usize {
        let (left, said) = oneshot::channel();
        // If the load is over, nobody waits.
        let _ = self.commands.send(Command::Leave(count, left)).await;
        said.await.unwrap_or(0)
    }

    /// Makes the scheduled requests these from now on, instead of those of the plan.
    pub async fn mix(&self, mix: Mix) {
        // If the load is over, there are none.
        let _ = self.commands.send(Command::Mix(mix)).await;
    }

    /// How many scheduled requests are under way that began before the last [`Load::mix`].
    pub async fn older_than_mix(&self) -> usize {
        let (count, said) = oneshot::channel();
        // If the load is over, none is.
        let _ = self.commands.send(Command::Older(count)).await;
        said.await.unwrap_or(0)
    }

    /// Starts no more requests, waits for those under way (each for [`Plan::timeout`] at most), and returns what was
    /// seen.
    ///
    /// # Errors
    ///
    /// When the load could not run.
    pub async fn finish(self) -> Result<Run, LoadError> {
        drop(self.commands);
        match self.run.await {
            Ok(run) => run.map_err(LoadError::Start),
            Err(_) => Err(LoadError::Broken),
        }
    }

    /// Waits until [`Plan::duration`] is over, and returns what was seen.
    ///
    /// # Errors
    ///
    /// When the load could not run.
    pub async fn complete(mut self) -> Result<Run, LoadError> {
        match (&mut self.run).await {
            Ok(run) => run.map_err(LoadError::Start),
            Err(_) => Err(LoadError::Broken),
        }
    }
}

fn run_load(plan: Plan, tally: Arc<Tally>, commands: mpsc::Receiver<Command>) -> io::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (over, is_over) = watch::channel(false);
    let crowd = Crowd::new(plan, prefix(), tally.clone(), is_over)?;
    let crowd = Rc::new(crowd);
    let local = LocalSet::new();
    let began = local.block_on(&runtime, dispatch::dispatch(crowd.clone(), commands, over))?;
    Ok(Run {
        prefix: crowd.prefix.clone(),
        seed: crowd.plan.seed,
        rate: crowd.plan.rate,
        began,
        ended: Moment::now(),
        records: crowd.take_records(),
        marks: tally.take_marks(),
        closes: crowd.pool.closes().take(),
        pauses: crowd.pauses.take(),
        tunnels: crowd.tunnels.take(),
        unprocessed: crowd.unprocessed.get(),
        connections: crowd.pool.figures(),
    })
}

/// No two loads of a machine have the same, so that they can share a ledger.
fn prefix() -> String {
    static LOADS: AtomicU32 = AtomicU32::new(0);
    let load = LOADS.fetch_add(1, Ordering::Relaxed);
    format!("r{}.{load}", std::process::id())
}
