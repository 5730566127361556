//! A small real app: it answers every request with a status that can be changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// An app that listens on a port of its own, until it is dropped.
pub(crate) struct App {
    pub(crate) address: String,
    status: Arc<AtomicU16>,
    task: AbortHandle,
}

impl App {
    /// One that is ready.
    pub(crate) async fn ready() -> Self {
        Self::answering(204).await
    }

    pub(crate) async fn answering(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let status = Arc::new(AtomicU16::new(status));
        let now = status.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let status = now.load(SeqCst);
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let head = format!("HTTP/1.1 {status} So\r\nconnection: close\r\n");
                    let rest = if status == 204 {
                        "\r\n"
                    } else {
                        "content-length: 0\r\n\r\n"
                    };
                    let _ = stream.write_all((head + rest).as_bytes()).await;
                });
            }
        });
        let task = task.abort_handle();
        Self {
            address,
            status,
            task,
        }
    }

    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, SeqCst);
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}
