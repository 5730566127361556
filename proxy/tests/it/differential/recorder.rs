//! The app behind those that are proxies themselves: it says what reached it through them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::conformance::message::{Message, Read, Unframed, read};

/// Running. Dropping it closes its listener.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request. What is none gets no answer.
async fn serve(mut stream: TcpStream) {
    let mut left = Vec::new();
    let mut encouraged = false;
    while let Ok(1..) = stream.read_buf(&mut left).await {
        match read(&left, Unframed::NoBody) {
            Read::Whole(message, _) => {
                let _ = stream.write_all(tell(&message).as_bytes()).await;
                return;
            }
            Read::Incomplete if !encouraged && expects(&left) => {
                let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
                encouraged = true;
            }
            Read::Incomplete => {}
            Read::Malformed(_) => return,
        }
    }
}

/// Whether the head asks for it before the body comes: Apache hands this on, and waits.
fn expects(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets).to_ascii_lowercase();
    text.contains("\r\nexpect: 100-continue\r\n") && text.contains("\r\n\r\n")
}

fn tell(message: &Message) -> String {
    // What Apache says that it read; nobody else has such a field.
    let line = message.field("x-request-line").unwrap_or(&message.start);
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let (len, crc) = (message.body.len(), crc32fast::hash(&message.body));
    let content = if method == "HEAD" { "" } else { "saw\n" };
    format!(
        "HTTP/1.1 200 OK\r\nX-Saw: {method} {target} {len} {crc:08x}\r\nConnection: close\r\n\
         Content-Length: 4\r\n\r\n{content}"
    )
}
