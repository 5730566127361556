//! Clients: a connection, a request or a few, and what came of each.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use holdfast::simulating::Stage;
use simulation::dice::Dice;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::book::{End, Shared};
use crate::message::{Message, read_message};
use crate::releases::Releases;

/// What clients do, drawn for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Of a thousand, so many leave without waiting for the answer.
    pub(crate) leave: u32,
    /// Of a thousand, so many send slowly.
    pub(crate) slow: u32,
    /// Of a thousand, so many say POST.
    pub(crate) post: u32,
    /// Of a thousand, so many speak HTTP/2.
    pub(crate) http2: u32,
    /// The retries of another method are taken for those of a POST: the broken build that the checks have to find out.
    pub(crate) put_is_post: bool,
}

/// One request, as its client means it.
pub(crate) struct Wish {
    pub(crate) number: usize,
    pub(crate) method: &'static str,
    pub(crate) length: usize,
    chunked: bool,
    /// Pauses between pieces.
    pause_ms: u64,
    leaves_after: Option<u64>,
}

/// A client of one worker.
pub(crate) struct Client {
    pub(crate) shared: Shared,
    pub(crate) dice: Dice,
    pub(crate) habits: Habits,
    pub(crate) releases: Arc<Releases>,
}

impl Client {
    /// Connects, asks, and reads until it is done.
    pub(crate) async fn run(self, stage: Rc<Stage>, worker: usize) {
        let address = format!("10.0.0.{}:4000", self.dice.within(1..=3));
        let address = address.parse().expect("an address");
        let stream = stage.connect(worker, address).expect("a pair of sockets");
        drop(stage);
        let mut stream = UnixStream::from_std(stream).expect("a socket that does not block");
        if self.dice.often(self.habits.http2) {
            return self.run_http2(stream).await;
        }
        for _ in 0..self.dice.within(1..=3) {
            let wish = self.wish();
            if !self.ask(&mut stream, &wish).await {
                return;
            }
            sleep(Duration::from_millis(self.dice.within(0..=2500))).await;
        }
    }

    pub(crate) fn wish(&self) -> Wish {
        let others = [(5, "GET"), (2, "PUT"), (1, "DELETE"), (1, "HEAD")];
        let is_post = self.dice.often(self.habits.post);
        let other = self.dice.weigh(&others).unwrap_or("GET");
        let method = if is_post { "POST" } else { other };
        let has_body = matches!(method, "POST" | "PUT") && self.dice.often(700);
        let leaves = self.dice.often(self.habits.leave);
        let slow = self.dice.often(self.habits.slow);
        let known_as = match method {
            "PUT" if self.habits.put_is_post => "POST",
            method => method,
        };
        Wish {
            number: self.shared.book().send(known_as, slow),
            method,
            length: if has_body { self.length() } else { 0 },
            chunked: has_body && self.dice.often(300),
            pause_ms: if slow { self.dice.within(1..=400) } else { 0 },
            leaves_after: leaves.then(|| self.dice.within(0..=3000)),
        }
    }

    fn length(&self) -> usize {
        let length = self.dice.within(0..=3000);
        usize::try_from(length).unwrap_or(0)
    }

    /// False: the connection has ended.
    async fn ask(&self, stream: &mut UnixStream, wish: &Wish) -> bool {
        self.follow(wish, self.exchange(stream, wish)).await
    }

    /// Writes down how it ends, if its client waits for that.
    pub(crate) async fn follow(
        &self,
        wish: &Wish,
        asking: impl Future<Output = (End, bool)>,
    ) -> bool {
        let number = wish.number;
        self.shared
            .tell("sent", &format!("{} {number}", wish.method));
        let ended = match wish.leaves_after {
            Some(ms) => timeout(Duration::from_millis(ms), asking).await,
            None => Ok(asking.await),
        };
        let (end, goes_on) = ended.unwrap_or((End::Left, false));
        self.shared.tell("ended", &format!("{number}: {end:?}"));
        if let End::Answered(status, reason) = &end {
            let word = reason.clone().unwrap_or_else(|| "app".to_owned());
            self.shared.tell(&format!("answer: {status} {word}"), "");
        }
        self.shared.book().end(number, end);
        goes_on
    }

    async fn exchange(&self, stream: &mut UnixStream, wish: &Wish) -> (End, bool) {
        let (mut reading, mut writing) = stream.split();
        let mut read = Vec::new();
        let writing = async {
            self.write(&mut writing, wish).await;
            // Who cannot write any more may have been answered already.
            std::future::pending::<()>().await
        };
        let answer = tokio::select! {
            biased;
            answer = read_message(&mut reading, &mut read) => answer,
            () = writing => None,
        };
        let Some(mut answer) = answer else {
            return (End::Broke, false);
        };
        if wish.method == "HEAD" {
            return self.judge(wish, &answer, &[]);
        }
        match answer.read_body(&mut reading).await {
            Some(body) => self.judge(wish, &answer, &body),
            None => (End::Broke, false),
        }
    }

    async fn write(&self, stream: &mut (impl AsyncWriteExt + Unpin), wish: &Wish) {
        let Wish {
            number,
            method,
            length,
            chunked,
            pause_ms,
            ..
        } = wish;
        let framing = match (chunked, length) {
            (true, _) => "Transfer-Encoding: chunked\r\n".to_owned(),
            (false, 0) if matches!(*method, "GET" | "HEAD" | "DELETE") => String::new(),
            (false, length) => format!("Content-Length: {length}\r\n"),
        };
        let mut octets = format!(
            "{method} /r/{number} HTTP/1.1\r\nHost: a.example\r\nX-Length: {length}\r\n{framing}\r\n"
        );
        let body = "b".repeat(*length);
        if *chunked {
            let (one, other) = body.split_at(length / 2);
            for part in [one, other].into_iter().filter(|part| !part.is_empty()) {
                octets += &format!("{:x}\r\n{part}\r\n", part.len());
            }
            octets += "0\r\n\r\n";
        } else {
            octets += &body;
        }
        let pieces = if *pause_ms > 0 { 4 } else { 1 };
        for piece in octets.as_bytes().chunks(octets.len().div_ceil(pieces)) {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(*pause_ms)).await;
        }
    }

    /// An answer of the app is the answer to this request, by an instance of the release that it names.
    pub(crate) fn judge(&self, wish: &Wish, answer: &Message, body: &[u8]) -> (End, bool) {
        let number = wish.number.to_string();
        let goes_on = answer.field("connection") != Some("close");
        let Some(own) = answer.field("proxy-status") else {
            let named = answer.field("x-number") == Some(number.as_str());
            let text = String::from_utf8_lossy(body);
            let by = text.split(' ').next().and_then(|by| by.parse().ok());
            let release = answer.field("x-release").unwrap_or_default();
            let is_its =
                wish.method == "HEAD" || by.is_some_and(|by| self.releases.has(release, by));
            self.shared.must(named && is_its, || {
                format!("I3: request {number} got {answer:?} {text:?}")
            });
            return (End::Answered(answer.status, None), goes_on);
        };
        let reason = own.split("details=\"").nth(1).unwrap_or(own);
        let reason = reason.trim_end_matches('"').to_owned();
        (End::Answered(answer.status, Some(reason)), goes_on)
    }
}
