//! The access log: one JSON object a line. No request ever waits for it: when its reader is slow, lines are dropped
//! and counted.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use swap_core::{AppName, ReleaseId};

/// Lines that may wait for the writer.
const WAITING_MAX: usize = 8192;

/// Where lines go. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessLog {
    lines: Option<SyncSender<String>>,
    dropped: Arc<AtomicU64>,
}

/// What is known of a request that has ended.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) client: std::net::IpAddr,
    pub(crate) method: http::Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) request_id: String,
    pub(crate) app: Option<AppName>,
    pub(crate) release: Option<ReleaseId>,
    /// None: the client left.
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) took: Duration,
    pub(crate) held: Duration,
    pub(crate) bytes: u64,
}

impl AccessLog {
    /// A log that goes nowhere.
    pub(crate) fn off() -> Self {
        Self::default()
    }

    /// A log to standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::start(io::stdout())
    }

    /// A log appended to a file.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        Self::start(OpenOptions::new().create(true).append(true).open(path)?)
    }

    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let writer = move || write_all(&waiting, BufWriter::new(out));
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(writer)?;
        Ok(Self {
            lines: Some(lines),
            dropped: Arc::default(),
        })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(crate) fn write(&self, line: &Line) {
        let Some(lines) = &self.lines else {
            return;
        };
        if lines.try_send(line.to_json()).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Writes until the last sender is gone; flushes whenever nothing waits. A failing file costs the lines, nothing else.
fn write_all(waiting: &Receiver<String>, mut out: impl Write) {
    while let Ok(first) = waiting.recv() {
        let _ = out.write_all(first.as_bytes());
        for line in waiting.try_iter() {
            let _ = out.write_all(line.as_bytes());
        }
        let _ = out.flush();
    }
}

impl Line {
    fn to_json(&self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let object = serde_json::json!({
            "at": Timestamp::now().to_string(),
            "client": self.client,
            "method": self.method.as_str(),
            "host": self.host,
            "path": self.path,
            "request_id": self.request_id,
            "app": self.app,
            "release": self.release,
            "status": self.status,
            "reason": self.reason,
            "took_ms": ms(self.took),
            "held_ms": ms(self.held),
            "bytes": self.bytes,
        });
        format!("{object}\n")
    }
}
