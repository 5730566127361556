//! The journal: what must outlive the process, durable before anybody is told.
//!
//! A file of lines, each with a checksum, written by a thread of its own. A record holds an app's whole lasting state,
//! so replaying is taking the last one. Only a torn tail is ever cut; anything else that is wrong is a refusal to start,
//! never an empty routing.

#[cfg(feature = "benching")]
pub(crate) mod benching;
#[cfg(test)]
mod cutting;
#[cfg_attr(
    not(feature = "simulation"),
    expect(unreachable_pub, reason = "the simulation names what is in it")
)]
mod directory;
mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod line;
mod record;
mod replay;
#[cfg(feature = "simulation")]
pub(crate) mod simulating;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use swap_core::{AppName, Generation, ReleaseId, Saved};
use swap_judge::Arm;
use tokio::sync::oneshot;

use crate::failpoint;
use crate::wire::Receipt;
use directory::{Directory, StateDirectory};
pub use error::JournalError;
use file::JournalFile;
pub(crate) use record::{Lasting, Origin, Record};

/// Receipts kept for each app.
pub(crate) const RECEIPTS_MAX: usize = 100;
/// Records that may wait for the thread. The driver waits for each, so one would do.
const WAITING_MAX: usize = 16;

/// What the journal knew of an app.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Past {
    pub(crate) saved: Saved,
    /// When the live release took over (RFC 3339).
    pub(crate) live_since: Option<String>,
    /// Releases that have passed their probe.
    pub(crate) passed: BTreeSet<ReleaseId>,
    /// What a canary that goes on was compared with last.
    pub(crate) control: Option<Arm>,
    /// Oldest first.
    pub(crate) receipts: VecDeque<Receipt>,
}

impl Past {
    fn lasting(&self) -> Lasting {
        Lasting {
            saved: self.saved.clone(),
            live_since: self.live_since.clone(),
            passed: self.passed.clone(),
            control: self.control.clone(),
        }
    }

    /// Tables up to this number were published by somebody else.
    pub(crate) fn skip(&mut self, used: Generation) {
        self.saved.generation = self.saved.generation.max(used);
    }
}

/// The apps as the journal knew them, by name.
pub(crate) type History = BTreeMap<AppName, Past>;

/// The number of each app's last table.
pub(crate) type Generations = BTreeMap<AppName, Generation>;

/// The way to the journal's thread, which ends with it.
#[derive(Debug)]
pub(crate) struct Journal {
    /// None only while it is dropped.
    jobs: Option<Jobs>,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
    lock: OwnedFd,
    /// Another process has it too, and may write.
    lent: bool,
}

/// The way to whoever writes.
#[derive(Debug)]
enum Jobs {
    Thread(SyncSender<Job>),
    #[cfg(feature = "simulation")]
    Task(tokio::sync::mpsc::Sender<Job>),
}

impl Jobs {
    fn send(&self, job: Job) -> Result<(), JournalError> {
        match self {
            Self::Thread(jobs) => {
                let sent = jobs.try_send(job);
                sent.map_err(|_: TrySendError<_>| JournalError::Stopped)
            }
            #[cfg(feature = "simulation")]
            Self::Task(jobs) => jobs.try_send(job).map_err(|_| JournalError::Stopped),
        }
    }
}

enum Job {
    Append {
        records: Vec<Record>,
        done: oneshot::Sender<Result<(), JournalError>>,
    },
    /// Says when all before it is done, to the last octet.
    Settle(oneshot::Sender<()>),
    /// Somebody else may have written. Says up to which numbers they have counted.
    Doubt(oneshot::Sender<Generations>),
}

impl Journal {
    /// Opens the journal in this directory (made if it is missing, for its owner alone) and reads it. `lock`: that of the
    /// process before this one.
    pub(crate) fn open(
        directory: &Path,
        lock: Option<OwnedFd>,
    ) -> Result<(Self, History), JournalError> {
        let taken = match lock {
            Some(lock) => StateDirectory::inherit(directory, lock),
            None => StateDirectory::take(directory)?,
        };
        let lock = taken.lock()?;
        let (file, history) = JournalFile::open(taken)?;
        failpoint::here("journal.opened");
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let mut writer = Writer {
            file,
            history: history.clone(),
        };
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&waiting))
            .map_err(JournalError::io("starting a thread for", directory))?;
        let this = Self {
            jobs: Some(Jobs::Thread(jobs)),
            thread: Some(thread),
            directory: directory.to_owned(),
            lock,
            lent: false,
        };
        Ok((this, history))
    }

    /// The directory and its lock, for a process that may take over. Until it is taken back nothing is written; what is
    /// being rewritten is finished first.
    pub(crate) async fn lend(&mut self) -> Result<(PathBuf, OwnedFd), JournalError> {
        let (done, settled) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(JournalError::Stopped)?;
        jobs.send(Job::Settle(done))?;
        settled.await.map_err(|_| JournalError::Stopped)?;
        let lock = self.lock.try_clone();
        let lock = lock.map_err(JournalError::io("lending the lock of", &self.directory))?;
        self.lent = true;
        Ok((self.directory.clone(), lock))
    }

    /// That process is gone. What it has written counts no more, but for its numbers, which somebody may have seen: the
    /// next record is written behind what we know.
    pub(crate) async fn take_back(&mut self) -> Generations {
        self.lent = false;
        let (done, used) = oneshot::channel();
        // Without a thread nothing is written anyway.
        let asked = self.jobs.as_ref().map(|jobs| jobs.send(Job::Doubt(done)));
        match asked {
            Some(Ok(())) => used.await.unwrap_or_default(),
            _ => Generations::new(),
        }
    }

    /// Returns when the record is durable, or why it is not; then nothing of it is kept.
    pub(crate) async fn append(&self, record: Record) -> Result<(), JournalError> {
        self.append_all(vec![record]).await
    }

    /// The same with several: all or none, in about the time of one.
    pub(crate) async fn append_all(&self, records: Vec<Record>) -> Result<(), JournalError> {
        if self.lent {
            return Err(JournalError::Lent);
        }
        let (done, result) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(JournalError::Stopped)?;
        jobs.send(Job::Append { records, done })?;
        result.await.map_err(|_| JournalError::Stopped)?
    }
}

impl Drop for Journal {
    /// Waits for the thread, so that the state directory is free afterwards.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who writes, one job after the other.
struct Writer<D: Directory> {
    file: JournalFile<D>,
    history: History,
}

impl<D: Directory> Writer<D> {
    fn run(&mut self, waiting: &Receiver<Job>) {
        while let Ok(job) = waiting.recv() {
            self.take(job);
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Append { records, done } => self.append(records, done),
            // The driver waits, unless it has ended.
            Job::Settle(done) => drop(done.send(())),
            Job::Doubt(done) => {
                let used = self.file.doubt();
                for (app, used) in &used {
                    let past = self.history.get_mut(app);
                    past.into_iter().for_each(|past| past.skip(*used));
                }
                // As above.
                let _ = done.send(used);
            }
        }
    }

    fn append(
        &mut self,
        mut records: Vec<Record>,
        done: oneshot::Sender<Result<(), JournalError>>,
    ) {
        let result = self.file.append(&mut records, &self.history);
        if result.is_ok() {
            for record in records {
                record.fold_into(&mut self.history);
            }
        }
        // Told before a rewrite: that is for later, and nobody has to wait for it.
        let durable = result.is_ok();
        let _ = done.send(result);
        failpoint::here("append.told");
        if durable
            && self.file.is_long()
            && let Err(error) = self.file.rewrite(&self.history)
        {
            // The long file is as good; it is tried again with the next record.
            tracing::warn!(%error, "the journal stays long");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(generation: u64) -> Record {
        record_of("web", generation)
    }

    fn record_of(app: &str, generation: u64) -> Record {
        let past = Past {
            saved: Saved {
                generation: Generation(generation),
                ..Saved::default()
            },
            ..Past::default()
        };
        Record::of_past(&app.parse().unwrap(), &past)
    }

    fn generation(history: &History) -> u64 {
        history[&"web".parse().unwrap()].saved.generation.0
    }

    #[tokio::test]
    async fn what_a_process_wrote_that_did_not_stay_counts_no_more() {
        let place = tempfile::tempdir().unwrap();
        let (mut ours, _) = Journal::open(place.path(), None).unwrap();
        ours.append(record(1)).await.unwrap();

        let (directory, lock) = ours.lend().await.unwrap();
        let refused = ours.append(record(2)).await;
        assert!(matches!(refused, Err(JournalError::Lent)), "{refused:?}");
        let (theirs, read) = Journal::open(&directory, Some(lock)).unwrap();
        assert_eq!(generation(&read), 1);
        theirs.append(record(90)).await.unwrap();
        drop(theirs);
        assert!(
            Journal::open(place.path(), None).is_err(),
            "the lock is still ours"
        );

        let web = "web".parse().unwrap();
        assert_eq!(ours.take_back().await, [(web, Generation(90))].into());
        ours.append(record(3)).await.unwrap();
        drop(ours);
        let (_, read) = Journal::open(place.path(), None).unwrap();
        assert_eq!(generation(&read), 3);
    }

    #[tokio::test]
    async fn a_number_that_another_process_has_used_is_not_used_again() {
        let place = tempfile::tempdir().unwrap();
        let (mut ours, _) = Journal::open(place.path(), None).unwrap();
        ours.append(record(1)).await.unwrap();
        let (directory, lock) = ours.lend().await.unwrap();
        let (theirs, _) = Journal::open(&directory, Some(lock)).unwrap();
        theirs.append(record(90)).await.unwrap();
        drop(theirs);
        // It was in the middle of another one when it died.
        let path = place.path().join("journal");
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"0badc0de {");
        std::fs::write(&path, text).unwrap();
        ours.take_back().await;
        // Written anew for another app's sake.
        ours.append(record_of("api", 2)).await.unwrap();
        drop(ours);
        let (_, read) = Journal::open(place.path(), None).unwrap();
        assert_eq!(generation(&read), 90);
    }

    #[tokio::test]
    async fn the_lock_stays_with_the_process_that_stays() {
        let place = tempfile::tempdir().unwrap();
        let (mut ours, _) = Journal::open(place.path(), None).unwrap();
        let (directory, lock) = ours.lend().await.unwrap();
        let (theirs, _) = Journal::open(&directory, Some(lock)).unwrap();
        drop(ours);
        assert!(Journal::open(place.path(), None).is_err());
        theirs.append(record(4)).await.unwrap();
        drop(theirs);
        let (_, read) = Journal::open(place.path(), None).unwrap();
        assert_eq!(generation(&read), 4);
    }
}
