//! How every fault ends: a fresh request works, and the daemon has given back what it took.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::daemon::Daemon;

/// Connections that the app keeps are closed when somebody looks. Workers give memory back every 10 s, twice before all is.
const PATIENCE: Duration = Duration::from_secs(40);
/// Time for a command's own connection to be closed.
const LOOKS: usize = 20;
const BETWEEN: Duration = Duration::from_millis(5);
/// What is not given back beyond this is a leak. Pages that an allocator keeps are not.
const MEMORY_MAX_KIB: u64 = 64 << 10;
/// Threads that waited for a name or for a file. They stay for 10 s, and another one waits on them then.
const IDLE_THREADS_MAX: usize = 2;
const IDLE_THREAD: &str = "tokio-rt-worker";
/// Each process that took another one's place keeps the socket on which it did, and a second handle of it.
const OF_AN_UPGRADE: usize = 2;

/// What a daemon had before the fault.
#[derive(Debug)]
pub(super) struct Before {
    files: Vec<String>,
    threads: Vec<String>,
    resident_kib: u64,
}

impl Before {
    /// What it has now, before anybody has asked for anything.
    pub(super) async fn of(daemon: &Daemon) -> Self {
        assert_eq!(daemon.status().await["live"]["in_flight"], 0);
        let mut fewest = files(daemon);
        for _ in 0..LOOKS {
            sleep(BETWEEN).await; // So many looks, and done.
            let now = files(daemon);
            if now.len() < fewest.len() {
                fewest = now;
            }
        }
        Self {
            files: fewest,
            threads: threads(daemon),
            resident_kib: daemon.resident_kib(),
        }
    }

    /// Waits until it has no more than then, after a fresh request that has to work at once.
    pub(super) async fn is_back(&self, daemon: &Daemon) {
        fresh_request_works(daemon).await;
        self.has_no_more(daemon, 0).await;
    }

    /// The same where another process serves now.
    pub(super) async fn is_back_after_an_upgrade(&self, daemon: &Daemon) {
        fresh_request_works(daemon).await;
        self.has_no_more(daemon, OF_AN_UPGRADE).await;
    }

    /// The same without a request, and with so many files more.
    pub(super) async fn has_no_more(&self, daemon: &Daemon, more_files: usize) {
        let end = Instant::now() + PATIENCE;
        let most = self.files.len() + more_files;
        while !is_quiet(daemon).await || !self.is_met(daemon, most).await {
            let (files, status) = (files(daemon), daemon.status().await);
            let (threads, memory) = (threads(daemon), daemon.resident_kib());
            assert!(
                Instant::now() < end,
                "{self:?}\nnow {files:?}, {threads:?}, {memory} KiB, {status}"
            );
        }
    }

    /// Whether these are no more threads than there were.
    fn has_threads(&self, now: &[String]) -> bool {
        let (idle, busy): (Vec<_>, Vec<_>) = now.iter().partition(|name| *name == IDLE_THREAD);
        idle.len() <= IDLE_THREADS_MAX && busy.len() <= self.threads.len()
    }

    fn has_memory(&self, daemon: &Daemon) -> bool {
        daemon.resident_kib().saturating_sub(self.resident_kib) <= MEMORY_MAX_KIB
    }

    /// Within a moment in which nobody asks for anything.
    async fn is_met(&self, daemon: &Daemon, most_files: usize) -> bool {
        for _ in 0..LOOKS {
            let is_met = files(daemon).len() <= most_files;
            if is_met && self.has_threads(&threads(daemon)) && self.has_memory(daemon) {
                return true;
            }
            sleep(BETWEEN).await; // So many looks, and not forever.
        }
        false
    }
}

/// What its threads are called.
fn threads(daemon: &Daemon) -> Vec<String> {
    let threads = std::fs::read_dir(daemon.proc("task")).unwrap();
    let name = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()
    };
    let names = threads.filter_map(name);
    names.map(|name| name.trim().to_owned()).collect()
}

async fn fresh_request_works(daemon: &Daemon) {
    let answer = daemon.client().await.get("/fresh").await;
    assert_eq!(answer.status, 200, "{}", answer.head);
}

/// Nothing runs, and nobody is held.
async fn is_quiet(daemon: &Daemon) -> bool {
    let status = daemon.status().await;
    status["live"]["in_flight"] == 0 && status["hold"]["held"] == 0
}

/// What it has open, in the kernel's words.
fn files(daemon: &Daemon) -> Vec<String> {
    let files = std::fs::read_dir(daemon.proc("fd")).unwrap();
    // One may be closed while they are looked at.
    let files = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    files.map(|file| file.display().to_string()).collect()
}
