//! An app that misreads: it takes every request for its head, and what is behind that for the next one.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(misread(stream));
        }
    });
    address
}

async fn misread(mut stream: TcpStream) {
    let mut left = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut left).await {
        while let Some(end) = left.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&left[..end]).into_owned();
            left.drain(..end + 4);
            let line = head.lines().next().unwrap_or_default();
            let saw = line.trim_end_matches(" HTTP/1.1");
            let answer =
                format!("HTTP/1.1 200 OK\r\nX-Saw: {saw} 0 0\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}
