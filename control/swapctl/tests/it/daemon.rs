//! A daemon of which a test says every word. One thread a connection, one request a connection, as swapctl does it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A scripted daemon. Its drop leaves the socket without a listener's answer; the test is over then.
pub(crate) struct Daemon {
    directory: TempDir,
    heard: Arc<Heard>,
}

/// What was asked so far.
#[derive(Default)]
struct Heard {
    requests: Mutex<Vec<Request>>,
    more: Condvar,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) accept: String,
    pub(crate) body: Value,
}

/// An open connection on which an answer is due. Its drop closes it.
pub(crate) struct Answer {
    stream: UnixStream,
    heard: Arc<Heard>,
}

impl Daemon {
    /// A daemon that answers as `script` says.
    pub(crate) fn new(script: impl Fn(&Request, Answer) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let heard = Arc::<Heard>::default();
        let (script, all) = (Arc::new(script), heard.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, heard) = (script.clone(), all.clone());
                thread::spawn(move || serve(stream.unwrap(), &*script, heard));
            }
        });
        Self { directory, heard }
    }

    /// A daemon that answers everything with this.
    pub(crate) fn saying(status: u16, body: Value) -> Self {
        Self::new(move |_, answer| answer.json(status, &body))
    }

    /// A daemon that refuses everything.
    pub(crate) fn refusing(status: u16, code: &str, detail: &str) -> Self {
        let problem = json!({ "status": status, "code": code, "title": "no", "detail": detail });
        Self::saying(status, problem)
    }

    /// A daemon that begins an operation and tells these events of it.
    pub(crate) fn telling(events: Vec<Value>) -> Self {
        Self::new(move |_, answer| {
            let mut events_of = answer.events();
            for event in &events {
                events_of.tell(event);
            }
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What was asked so far.
    pub(crate) fn heard(&self) -> Vec<Request> {
        self.heard.requests.lock().unwrap().clone()
    }
}

impl Heard {
    fn note(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
        self.more.notify_all();
    }

    fn wait_for(&self, line: &str) -> Request {
        let requests = self.requests.lock().unwrap();
        let missing = |requests: &mut Vec<Request>| !requests.iter().any(|r| r.is(line));
        let (requests, late) = self
            .more
            .wait_timeout_while(requests, DEADLINE, missing)
            .unwrap();
        assert!(!late.timed_out(), "nobody asked {line}: {requests:?}");
        requests.iter().find(|r| r.is(line)).unwrap().clone()
    }
}

impl Request {
    /// Whether its line is this one; `*` stands for an operation's id.
    pub(crate) fn is(&self, line: &str) -> bool {
        match line.split_once('*') {
            Some((before, behind)) => self.line.starts_with(before) && self.line.ends_with(behind),
            None => self.line == line,
        }
    }
}

impl Answer {
    pub(crate) fn json(mut self, status: u16, body: &Value) {
        let kind = if status < 400 {
            "application/json"
        } else {
            "application/problem+json"
        };
        let body = body.to_string();
        let _ = write!(
            self.stream,
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }

    /// Octets as they are.
    pub(crate) fn raw(mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    /// Events follow.
    pub(crate) fn events(mut self) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = self.stream.write_all(head.as_bytes());
        self
    }

    /// One event.
    pub(crate) fn tell(&mut self, event: &Value) {
        self.try_tell(event);
    }

    /// One event; false if nobody can hear it.
    pub(crate) fn try_tell(&mut self, event: &Value) -> bool {
        let text = format!("id: 1\ndata: {event}\n\n");
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        // In one piece: whoever has heard it may close.
        self.stream.write_all(chunk.as_bytes()).is_ok()
    }

    /// Waits until somebody asks this.
    pub(crate) fn wait_for(&self, line: &str) -> Request {
        self.heard.wait_for(line)
    }

    /// The socket on which it was asked.
    pub(crate) fn socket(&self) -> PathBuf {
        let address = self.stream.local_addr().unwrap();
        address.as_pathname().unwrap().to_owned()
    }

    /// Waits until this file exists.
    pub(crate) fn wait_for_file(&self, path: &Path) {
        crate::run::until("the file", || path.exists());
    }

    /// Waits until the other side has closed.
    pub(crate) fn wait_for_close(mut self) {
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        match self.stream.read(&mut [0; 16]) {
            Ok(0) => {}
            // With octets of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("more was said, or nothing: {other:?}"),
        }
    }

    /// Says that all was said, which for chunks is not the same as closing.
    pub(crate) fn end(mut self) {
        let _ = self.stream.write_all(b"0\r\n\r\n");
    }
}

fn serve(stream: UnixStream, script: &(dyn Fn(&Request, Answer) + Sync), heard: Arc<Heard>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(request) = read(&mut reader) else {
        return;
    };
    heard.note(request.clone());
    script(&request, Answer { stream, heard });
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        let found = lines
            .iter()
            .find_map(|line| line.strip_prefix(prefix.as_str()));
        found.unwrap_or_default().to_owned()
    };
    let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: lines.first()?.strip_suffix(" HTTP/1.1")?.to_owned(),
        accept: field("accept"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}
