//! A client that says exactly what it is told, and reads answers octet by octet.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).await.unwrap())
    }

    /// The same from another address of this machine.
    pub(crate) async fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        Self::over(socket.connect(to).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn say(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.say(format!("GET {target} HTTP/1.1\r\nHost: x.test\r\n\r\n"))
            .await;
        self.answer().await
    }

    pub(crate) async fn post(&mut self, target: &str, body: &[u8]) -> Answer {
        let length = body.len();
        self.say(format!(
            "POST {target} HTTP/1.1\r\nHost: x.test\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
        self.say(body).await;
        self.answer().await
    }

    /// The next answer (with a length), or a panic that shows what came instead.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_within(PATIENCE).await
    }

    pub(crate) async fn answer_within(&mut self, patience: Duration) -> Answer {
        match tokio::time::timeout(patience, self.try_answer()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => panic!("closed after {:?}", String::from_utf8_lossy(&self.read)),
            Err(_) => panic!("no answer but {:?}", String::from_utf8_lossy(&self.read)),
        }
    }

    /// The next answer; None if the connection ends before it is whole.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        if status == 100 {
            return Box::pin(self.try_answer()).await;
        }
        let length = answer
            .field("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            self.more().await?;
        }
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    /// Reads until something comes; None at the end.
    pub(crate) async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(octets) if octets > 0 => Some(()),
            _ => None,
        }
    }

    /// Exactly so many octets.
    pub(crate) async fn octets(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            tokio::time::timeout(PATIENCE, self.more())
                .await
                .unwrap()
                .unwrap();
        }
        self.read.drain(..count).collect()
    }

    /// Whether the connection ends, with nothing more, in time.
    pub(crate) async fn ends(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, self.more())
            .await
            .is_ok_and(|more| more.is_none())
    }
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Waits, with a deadline, until `holds` says so.
pub(crate) async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

/// The same with another deadline.
pub(crate) async fn until_within(
    patience: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let deadline = tokio::time::Instant::now() + patience;
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await; // Asks again; ends by the deadline.
    }
}

/// Returns when nobody is let in there.
pub(crate) async fn until_shut(to: SocketAddr) {
    // Who is not answered would ask again after a second only.
    let brief = Duration::from_millis(100);
    let connect = async || tokio::time::timeout(brief, TcpStream::connect(to)).await;
    let refuses = async || matches!(connect().await, Ok(Err(_)));
    until("nobody new is let in", refuses).await;
}

/// Connects and asks again and again; each who has connected must be answered. Ends when nobody can connect any more.
pub(crate) fn until_refused(to: SocketAddr) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(to)).await;
            match connected.expect("connected or refused") {
                Ok(stream) => assert_eq!(Client::over(stream).get("/").await.status, 200),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return,
                Err(error) => panic!("neither served nor refused: {error}"),
            }
        }
    })
}
