//! A probe that leaves its connection open, in HTTP/1.1: the release that passes begins with it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http::{Request, StatusCode, response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection};
use hyper_util::rt::TokioIo;
use swap_core::Address;

use crate::plane::{Opened, Stream};

/// What was answered.
pub(super) struct Asked {
    pub(super) status: StatusCode,
    head: response::Parts,
    /// If nothing is under way on it.
    stream: Option<Box<dyn Stream>>,
}

impl Asked {
    pub(super) fn opened(self, instance: &Address) -> Option<Opened> {
        Opened::new(instance.clone(), self.stream?, self.head.headers)
    }
}

/// Asks, and keeps the connection if the app does, and if its whole answer is there with the head. Nobody waits for more.
pub(super) async fn ask(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Asked, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut line = Line::new(connection);
    let answer = pin!(sender.send_request(request));
    let (head, body) = line.drive(answer).await?.into_parts();
    let is_whole = line.has_whole(body).await && sender.is_ready();
    Ok(Asked {
        status: head.status,
        head,
        stream: line.hang_up().filter(|_| is_whole),
    })
}

/// A connection that is driven by whoever waits for something on it.
struct Line {
    connection: Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>,
    has_ended: bool,
}

impl Line {
    fn new(connection: Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>) -> Self {
        let has_ended = false;
        Self {
            connection,
            has_ended,
        }
    }

    /// Its errors reach whoever waits for the answer.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if !self.has_ended {
            self.has_ended = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }

    /// What is waited for, and what comes of it at once.
    fn poll_beside<F: Future>(
        &mut self,
        cx: &mut Context<'_>,
        mut what: Pin<&mut F>,
    ) -> Poll<F::Output> {
        if let Poll::Ready(done) = what.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        self.poll(cx);
        what.poll(cx)
    }

    async fn drive<F: Future>(&mut self, mut what: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| self.poll_beside(cx, what.as_mut())).await
    }

    async fn has_whole(&mut self, body: Incoming) -> bool {
        let mut body = pin!(body.collect());
        poll_fn(|cx| {
            let whole = self.poll_beside(cx, body.as_mut());
            // That it has ended, and whether another request may follow.
            self.poll(cx);
            Poll::Ready(matches!(whole, Poll::Ready(Ok(_))))
        })
        .await
    }

    /// The stream, if it goes on and nothing has come that nobody asked for.
    fn hang_up(self) -> Option<Box<dyn Stream>> {
        let parts = self.connection.into_parts();
        let is_clean = !self.has_ended && parts.read_buf.is_empty();
        is_clean.then(|| parts.io.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream as Socket;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    /// What is left of a connection on which this was answered, and its other end.
    async fn asked(answer: &'static str) -> (Option<Opened>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stream: Box<dyn Stream> = Box::new(TcpStream::connect(at).await.unwrap());
        let (mut app, _) = listener.accept().await.unwrap();
        app.write_all(answer.as_bytes()).await.unwrap();
        let request = Request::get("/up").body(Full::default()).unwrap();
        let asked = timeout(Duration::from_secs(20), ask(stream, request)).await;
        let asked = asked.unwrap().unwrap();
        assert_eq!(asked.status, StatusCode::OK);
        let mut head = vec![0; 4096];
        let length = app.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
        assert!(head.starts_with("get /up http/1.1\r\n") && !head.contains("connection"));
        (asked.opened(&Address::Tcp(at)), app)
    }

    #[tokio::test]
    async fn what_is_left_of_a_whole_answer_is_a_socket_that_goes_on() {
        let answer = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=3\r\ncontent-length: 2\r\n\r\nok";
        let (opened, mut app) = asked(answer).await;
        let opened = opened.unwrap();
        assert_eq!(opened.fields["keep-alive"], "timeout=3");
        app.write_all(b"more").await.unwrap();
        let mut socket = Socket::from(opened.socket);
        socket.set_nonblocking(false).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut more = [0; 4];
        socket.read_exact(&mut more).unwrap();
        assert_eq!(more, *b"more");
    }

    #[tokio::test]
    async fn nothing_is_left_where_the_app_closes_or_has_not_said_all_or_says_too_much() {
        for answer in [
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        ] {
            let (opened, mut app) = asked(answer).await;
            assert!(opened.is_none(), "{answer}");
            let end = timeout(Duration::from_secs(20), app.read(&mut [0])).await;
            assert!(matches!(end, Ok(Ok(0) | Err(_))), "it is closed: {answer}");
        }
    }
}
