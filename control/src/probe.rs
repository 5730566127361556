//! Probes: is an instance ready? A fresh connection each time, and one question.

mod ask;
mod grpc;
mod smoke;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdfast_config::Protocol;
use swap_core::{Address, Release};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::plane::Connecting;
use ask::probe;
pub(crate) use smoke::smoke;

/// How often something is probed that somebody waits for.
const WAITING_INTERVAL: Duration = Duration::from_millis(100);
/// A live instance is marked down after so many failures in a row.
const FAILURES_TO_DOWN: u32 = 3;

/// What a probe asks for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) dial: Dial,
    pub(crate) protocol: Protocol,
    pub(crate) path: String,
    /// The service whose health is asked for instead, with gRPC.
    pub(crate) grpc: Option<String>,
    /// In the field `Host`; the instance's address if there is none.
    pub(crate) host: Option<String>,
    /// For the whole of it, from the connect on.
    pub(crate) timeout: Duration,
    /// In a row.
    pub(crate) passes: u32,
    /// An accepted connect is enough.
    pub(crate) connect_only: bool,
}

/// The way to an instance: the same for probes as for requests.
#[derive(Clone)]
pub(crate) struct Dial(pub(crate) Arc<dyn Fn(&Address) -> Connecting + Send + Sync>);

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

/// Why a probe failed, in words that name the instance.
pub(crate) type Failure = String;

/// Probes every instance until all are ready at the same time; one that was and fails is not. Each failure is told; one
/// that nobody takes at once is dropped, because the next follows.
pub(crate) async fn round(release: Release, question: Question, failures: mpsc::Sender<Failure>) {
    let count = release.instances.len();
    let (findings, mut found) = mpsc::channel(count.max(1));
    let mut instances = JoinSet::new();
    for (index, instance) in release.instances.into_iter().enumerate() {
        let findings = (index, findings.clone());
        instances.spawn(repeat(
            instance,
            question.clone(),
            failures.clone(),
            findings,
        ));
    }
    let mut ready = vec![false; count];
    while ready.contains(&false) {
        // Never closed: we have a sender ourselves.
        if let Some((index, is_ready)) = found.recv().await {
            ready[index] = is_ready;
        }
    }
}

/// Probes one instance again and again and tells, with its number, whether it has passed as often in a row as asked.
async fn repeat(
    instance: Address,
    question: Question,
    failures: mpsc::Sender<Failure>,
    (index, findings): (usize, mpsc::Sender<(usize, bool)>),
) {
    let mut passes = 0;
    loop {
        let next = Instant::now() + WAITING_INTERVAL;
        match probe(&instance, &question).await {
            Ok(()) => passes = question.passes.min(passes + 1),
            Err(why) => {
                passes = 0;
                let _ = failures.try_send(why);
            }
        }
        if findings
            .send((index, passes >= question.passes))
            .await
            .is_err()
        {
            return;
        }
        sleep_until(next).await;
    }
}

/// Looks at a live instance for ever: at once, unless it has passed before, as it has where it was just swapped to. Tells of
/// each pass, and of the failure that makes it count as down. Failures say nothing of a release that never passed: perhaps
/// it has no such path.
pub(crate) async fn watch(
    instance: Address,
    question: Question,
    interval: Duration,
    mut has_passed: bool,
    mut tell: impl FnMut(&Address, bool) + Send,
) {
    let mut failures: u32 = 0;
    // Many begin at the same moment, when the daemon starts or after a swap. They do not go on in step.
    let mut pause = interval.mul_f64(fastrand::f64());
    if has_passed {
        sleep(pause).await;
        pause = interval;
    }
    loop {
        let next = Instant::now() + pause;
        pause = interval;
        match probe(&instance, &question).await {
            Ok(()) => {
                (has_passed, failures) = (true, 0);
                tell(&instance, true);
            }
            Err(_) if has_passed => {
                failures = failures.saturating_add(1);
                if failures == FAILURES_TO_DOWN {
                    tell(&instance, false);
                }
            }
            Err(_) => {}
        }
        sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use tokio::time::timeout;

    use super::ask::AGENT;
    use super::*;
    use crate::plane::connect_plain;

    /// An app whose answers, one a connection, are these; the last one for ever. Says what it was asked first.
    async fn app(answers: &'static [&'static str]) -> (Address, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let (asked, questions) = mpsc::channel(64);
        tokio::spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut octets = vec![0; 4096];
                let length = stream.read(&mut octets).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&octets[..length]).into_owned();
                let _ = asked.try_send(text);
                let answer = answers[number.min(answers.len() - 1)];
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (address, questions)
    }

    const OK: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    fn question() -> Question {
        Question {
            dial: Dial(Arc::new(connect_plain)),
            protocol: Protocol::Http1,
            path: "/up".into(),
            grpc: None,
            host: Some("shop.example.com".into()),
            timeout: Duration::from_secs(5),
            passes: 1,
            connect_only: false,
        }
    }

    fn release(instances: Vec<Address>) -> Release {
        Release {
            id: "r".parse().unwrap(),
            instances,
        }
    }

    async fn must_pass(release: Release, question: Question) {
        let (failures, _told) = mpsc::channel(64);
        let round = round(release, question, failures);
        timeout(Duration::from_secs(20), round).await.unwrap();
    }

    #[tokio::test]
    async fn it_asks_with_the_apps_host_and_says_who_it_is() {
        let (address, mut asked) = app(&[OK]).await;
        assert_eq!(probe(&address, &question()).await, Ok(()));
        let head = asked.recv().await.unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get /up http/1.1\r\n"), "{head}");
        for field in [
            "host: shop.example.com\r\n",
            &format!("user-agent: {AGENT}\r\n"),
            "connection: close\r\n",
        ] {
            assert!(head.contains(field), "{field} is not in {head}");
        }
    }

    #[tokio::test]
    async fn failures_are_said_in_words_that_name_the_instance() {
        let (busy, _asked) = app(&[BUSY]).await;
        let why = probe(&busy, &question()).await.unwrap_err();
        assert_eq!(why, format!("{busy} answered 503 to GET /up"));

        let nobody = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Address::Tcp(listener.local_addr().unwrap())
        };
        let why = probe(&nobody, &question()).await.unwrap_err();
        assert_eq!(why, format!("{nobody}: connection refused"));

        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = (Address::Tcp(silent.local_addr().unwrap()), silent);
        let short = Question {
            timeout: Duration::from_millis(50),
            ..question()
        };
        let why = probe(&silent.0, &short).await.unwrap_err();
        assert_eq!(
            why,
            format!("{}: no answer to GET /up within 50ms", silent.0)
        );

        let (noise, _asked) = app(&["SSH-2.0-OpenSSH_9.2\r\n"]).await;
        let why = probe(&noise, &question()).await.unwrap_err();
        assert!(
            why.starts_with(&format!("{noise}: no HTTP answer to GET /up")),
            "{why}"
        );
    }

    #[tokio::test]
    async fn passes_have_to_come_in_a_row() {
        let (address, mut asked) = app(&[OK, OK, BUSY, OK, OK, OK]).await;
        let three = Question {
            passes: 3,
            ..question()
        };
        must_pass(release(vec![address]), three).await;
        let mut count = 0;
        while asked.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 6, "two passes, a failure, three passes");
    }

    #[tokio::test]
    async fn all_instances_have_to_be_ready_at_the_same_time() {
        // The first is ready at once, then fails while the second boots: for an interval at least, whoever is asked first.
        let (flaps, mut asked) = app(&[OK, BUSY, BUSY, BUSY, BUSY, OK]).await;
        let (boots, _) = app(&[BUSY, BUSY, OK]).await;
        must_pass(release(vec![flaps, boots]), question()).await;
        let mut count = 0;
        while asked.try_recv().is_ok() {
            count += 1;
        }
        assert!(
            count >= 6,
            "{count} probes: passed while one instance was down"
        );
    }

    #[tokio::test]
    async fn an_instance_is_down_after_three_failures_in_a_row_and_up_at_the_first_pass() {
        let (address, _asked) = app(&[OK, BUSY, BUSY, OK, BUSY, BUSY, BUSY, BUSY, OK]).await;
        let (told, mut marks) = mpsc::channel(64);
        let tell = move |_: &Address, is_up| told.try_send(is_up).unwrap_or_default();
        let watching = watch(address, question(), Duration::from_millis(1), false, tell);
        let watching = tokio::spawn(watching);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            seen.push(
                timeout(Duration::from_secs(20), marks.recv())
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        watching.abort();
        assert_eq!(seen, [true, true, false, true]);
    }

    #[tokio::test]
    async fn a_release_that_never_passed_is_never_marked_down() {
        let (address, mut asked) = app(&[BUSY]).await;
        let (told, mut marks) = mpsc::channel::<bool>(64);
        let tell = move |_: &Address, is_up| told.try_send(is_up).unwrap_or_default();
        let watching = watch(address, question(), Duration::from_millis(1), false, tell);
        let watching = tokio::spawn(watching);
        for _ in 0..10 {
            timeout(Duration::from_secs(20), asked.recv())
                .await
                .unwrap()
                .unwrap();
        }
        watching.abort();
        assert!(marks.try_recv().is_err());
    }
}
