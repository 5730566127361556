//! Clients in HTTP/2: several requests at once on one connection.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use crate::book::End;
use crate::client::{Client, Wish};
use crate::message::Message;

/// Spawns on the one thread that there is.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Here {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

impl Client {
    /// Asks for several things at once, and waits for all of them.
    pub(crate) async fn run_http2(self, stream: UnixStream) {
        let Ok((sender, connection)) = handshake(Here, TokioIo::new(stream)).await else {
            return;
        };
        let connection = spawn_local(connection);
        let (client, mut streams) = (Rc::new(self), JoinSet::new());
        for _ in 0..client.dice.within(1..=5) {
            streams.spawn_local(client.clone().stream(sender.clone()));
            sleep(Duration::from_millis(client.dice.within(0..=200))).await;
        }
        drop(sender);
        while streams.join_next().await.is_some() {}
        // It ends as nobody sends on it any more.
        let _ = connection.await;
    }

    async fn stream(self: Rc<Self>, sender: SendRequest<Full<Bytes>>) {
        let wish = self.wish();
        self.follow(&wish, self.exchange_http2(sender, &wish)).await;
    }

    async fn exchange_http2(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        wish: &Wish,
    ) -> (End, bool) {
        let Wish { number, length, .. } = wish;
        let request = Request::builder()
            .method(wish.method)
            .uri(format!("http://a.example/r/{number}"))
            .header("x-length", *length)
            .body(Full::from("b".repeat(*length)))
            .expect("a request");
        let Ok(answer) = sender.send_request(request).await else {
            return (End::Broke, false);
        };
        let head = Message::of_http2(&answer);
        match answer.into_body().collect().await {
            Ok(body) => self.judge(wish, &head, &body.to_bytes()),
            Err(_) => (End::Broke, false),
        }
    }
}
