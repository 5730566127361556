//! An app that writes down every octet, and answers every whole request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::client::PATIENCE;

use super::message::{Message, Read, Unframed, read};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What it answers to requests for `/case`: octets, and whether the connection ends after them.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) octets: Vec<u8>,
    pub(super) fin: bool,
}

/// What came over one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) octets: Vec<u8>,
    pub(super) requests: Vec<Message>,
    pub(crate) malformed: Option<String>,
}

/// The app. Dropping it closes everything.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Arc<Mutex<Heard>>>>>,
    script: Arc<Mutex<Option<Script>>>,
    task: JoinHandle<()>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<_>>>::default();
        let script = Arc::<Mutex<Option<Script>>>::default();
        let (all, next) = (heard.clone(), script.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let one = Arc::<Mutex<Heard>>::default();
                all.lock().unwrap().push(one.clone());
                tokio::spawn(listen(stream, one, next.clone()));
            }
        });
        Self {
            address,
            heard,
            script,
            task,
        }
    }

    /// What came since the last call, by connection, but for the proxy's own probes.
    pub(crate) fn take(&self) -> Vec<Heard> {
        let mut heard = self.heard.lock().unwrap();
        let all = heard.iter().map(|one| one.lock().unwrap().clone());
        let is_probe = |one: &Heard| one.octets.starts_with(b"GET /up ");
        let all = all
            .filter(|one| !one.octets.is_empty() && !is_probe(one))
            .collect();
        for one in &*heard {
            *one.lock().unwrap() = Heard::default();
        }
        heard.retain(|one| Arc::strong_count(one) > 1);
        all
    }

    /// Resolves when what has been sent to it has been read: whoever comes last is answered last.
    pub(super) async fn catch_up(&self) {
        let mut last = TcpStream::connect(self.address).await.unwrap();
        let ask = b"GET /up HTTP/1.1\r\nHost: x.test\r\n\r\n";
        last.write_all(ask).await.unwrap();
        last.read_exact(&mut vec![0; OK.len()]).await.unwrap();
    }

    /// Whether every connection has ended and been read to its end.
    pub(crate) fn is_deserted(&self) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().all(|one| Arc::strong_count(one) == 1)
    }

    /// From now on requests for `/case` are answered so.
    pub(super) fn script(&self, script: Option<Script>) {
        *self.script.lock().unwrap() = script;
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    mut stream: TcpStream,
    heard: Arc<Mutex<Heard>>,
    script: Arc<Mutex<Option<Script>>>,
) {
    let mut left = Vec::new();
    let mut piece = vec![0; 65_536];
    while let Ok(len) = stream.read(&mut piece).await {
        if len == 0 {
            return;
        }
        left.extend_from_slice(&piece[..len]);
        heard
            .lock()
            .unwrap()
            .octets
            .extend_from_slice(&piece[..len]);
        loop {
            match read(&left, Unframed::NoBody) {
                Read::Whole(message, len) => {
                    left.drain(..len);
                    let is_case = message.start.starts_with("GET /case ");
                    heard.lock().unwrap().requests.push(message);
                    let next = script.lock().unwrap().clone().filter(|_| is_case);
                    let fin = next.as_ref().is_some_and(|script| script.fin);
                    let octets = next.map_or(OK.to_vec(), |script| script.octets);
                    if stream.write_all(&octets).await.is_err() {
                        return;
                    }
                    if fin {
                        // Closed at once, it could reset what the other side has not read.
                        let _ = stream.shutdown().await;
                        let end = stream.read_to_end(&mut piece);
                        let _ = tokio::time::timeout(PATIENCE, end).await;
                        return;
                    }
                }
                Read::Incomplete => break,
                Read::Malformed(why) => {
                    heard.lock().unwrap().malformed = Some(why);
                    return;
                }
            }
        }
    }
}
