//! A data plane whose clients and apps are in the same thread, on real sockets and in real time: it is driven as the control
//! plane drives it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use holdfast_control::plane::{DataPlane, Mishap, Mishaps, Signal, Signals};
use swap_core::{AppName, Beside, GateId, Generation, Release, Share, Slice, Split};
use swap_judge::Arm;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::LocalOptions;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use crate::simulating::Stage;
use crate::worker;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Workers of the data plane.
pub(super) const WORKERS: usize = 2;
/// The gate of the release that is live at first.
pub(super) const LIVE: GateId = GateId(1);
/// The gate of the one beside it.
pub(super) const BESIDE: GateId = GateId(2);

/// Plays with a data plane that has one app of these settings, whose release `one` serves and whose release `two` does not yet.
pub(super) fn play(settings: holdfast_config::App, test: impl AsyncFnOnce(&mut Scene)) {
    let runtime = worker::runtime().build_local(LocalOptions::default());
    runtime.unwrap().block_on(async {
        let mut scene = Scene::new(settings).await;
        let played = tokio::time::timeout(PATIENCE, test(&mut scene)).await;
        played.expect("it took too long");
    });
}

/// A data plane, and what is around it.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) plane: Arc<dyn DataPlane>,
    pub(super) name: AppName,
    pub(super) one: App,
    pub(super) two: App,
    signals: Signals,
    mishaps: Mishaps,
    generation: Cell<u64>,
    turn: Cell<usize>,
}

impl Scene {
    async fn new(settings: holdfast_config::App) -> Self {
        let (stage, signals) = Stage::new(WORKERS);
        let name: AppName = "web".parse().unwrap();
        stage.configure(&BTreeMap::from([(name.clone(), settings)]));
        let scene = Self {
            plane: stage.plane(),
            mishaps: stage.mishaps().unwrap(),
            stage,
            name,
            one: App::start("one").await,
            two: App::start("two").await,
            signals,
            generation: Cell::new(0),
            turn: Cell::new(0),
        };
        scene.publish(LIVE, &scene.one);
        scene
    }

    fn generation(&self) -> Generation {
        self.generation.set(self.generation.get() + 1);
        Generation(self.generation.get())
    }

    /// This release becomes the live one.
    pub(super) fn publish(&self, gate: GateId, app: &App) {
        let release = Some(app.release());
        self.plane
            .publish(&self.name, self.generation(), gate, release);
    }

    /// Release `two` gets this share, and release `one` a control of the same size, as a rollout has it.
    pub(super) fn canary(&self, round: u64, per_cent: u32) {
        self.split(Some(self.canary_of(round, per_cent)));
    }

    pub(super) fn canary_of(&self, round: u64, per_cent: u32) -> Split {
        let share = Share::millionths(per_cent * 10_000);
        let slice = |arm: &str, from, to, beside| Slice {
            arm: arm.parse().unwrap(),
            from,
            to,
            beside,
        };
        let mut slices = Vec::new();
        if share > Share::NONE {
            slices.push(slice("canary", Share::NONE, share, Some(0)));
            if share <= share.rest() {
                slices.push(slice("control", share.rest(), Share::ALL, None));
            }
        }
        Split {
            key: "01KAQ0000000000000000000A1".to_owned(),
            round,
            beside: vec![Beside {
                gate: BESIDE,
                release: self.two.release(),
            }],
            opt_in: !slices.is_empty(),
            slices,
            preview: Some(0),
            fallback: None,
            least: Duration::ZERO,
        }
    }

    pub(super) fn split(&self, split: Option<Split>) {
        self.plane.split(&self.name, self.generation(), split);
    }

    /// A request with these lines on a connection of its own, to each worker in turn.
    pub(super) async fn ask(&self, request: &str, lines: &[&str]) -> Answer {
        self.ask_from("192.0.2.1", request, lines).await
    }

    /// The same from there.
    pub(super) async fn ask_from(&self, client: &str, request: &str, lines: &[&str]) -> Answer {
        let mut stream = self.say(client, request, lines).await;
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.unwrap();
        Answer::of(&octets)
    }

    /// It is said, and its answer not waited for.
    pub(super) async fn say(&self, client: &str, request: &str, lines: &[&str]) -> UnixStream {
        let client: IpAddr = client.parse().unwrap();
        self.turn.set((self.turn.get() + 1) % WORKERS);
        let stream = self
            .stage
            .connect(self.turn.get(), SocketAddr::new(client, 1000));
        let mut stream = UnixStream::from_std(stream.unwrap()).unwrap();
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let head =
            format!("{request} HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// What an arm has counted. (A request counts when its answer has gone, which its client may see before.)
    pub(super) async fn arm(&self, name: &str, requests: u64) -> Arm {
        loop {
            let arms = self.plane.arms(&self.name).unwrap().arms;
            let mut arms = arms.into_iter();
            let arm = arms.find(|(known, _)| known.as_str() == name).unwrap().1;
            if arm.requests == requests {
                return arm;
            }
            assert!(arm.requests < requests, "{arm:?}");
            tokio::task::yield_now().await;
        }
    }

    /// The next thing that went wrong on a release beside the live one.
    pub(super) async fn mishap(&mut self) -> Mishap {
        self.mishaps.next().await.unwrap()
    }

    /// Whether none has been told.
    pub(super) async fn no_mishap(&mut self) -> bool {
        let next = tokio::time::timeout(Duration::ZERO, self.mishaps.next());
        next.await.is_err()
    }

    /// Waits until this is reported.
    pub(super) async fn reported(&mut self, signal: &Signal) {
        while self.signals.next().await != *signal {}
    }
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    fn of(octets: &[u8]) -> Self {
        let text = String::from_utf8_lossy(octets);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        Self {
            status: head[9..12].parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    pub(super) fn release(&self) -> &str {
        self.field("x-release").unwrap_or("nobody")
    }
}

/// An app. It answers its name; `/fail` with 500; `/reset` not at all; `/wait` when it is told to.
pub(super) struct App {
    name: &'static str,
    address: SocketAddr,
    troupe: Rc<Troupe>,
    task: RefCell<AbortHandle>,
}

/// What has come to an app.
#[derive(Default)]
struct Troupe {
    heads: RefCell<Vec<String>>,
    connections: RefCell<Vec<AbortHandle>>,
    lets_go: Notify,
}

impl App {
    async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let troupe = Rc::<Troupe>::default();
        let task = spawn_local(serve(listener, name, troupe.clone())).abort_handle();
        Self {
            name,
            address,
            troupe,
            task: RefCell::new(task),
        }
    }

    pub(super) fn release(&self) -> Release {
        Release {
            id: self.name.parse().unwrap(),
            instances: vec![self.address.to_string().parse().unwrap()],
        }
    }

    /// It dies, and its connections with it.
    pub(super) async fn die(&self) {
        self.task.borrow().abort();
        self.troupe
            .connections
            .borrow()
            .iter()
            .for_each(AbortHandle::abort);
        while TcpStream::connect(self.address).await.is_ok() {}
    }

    /// Heads of the requests that have come to it.
    pub(super) fn heads(&self) -> Vec<String> {
        self.troupe.heads.borrow().clone()
    }

    /// Answers each `/wait` that is here.
    pub(super) fn let_go(&self) {
        self.troupe.lets_go.notify_waiters();
    }

    /// Waits until so many requests have come to it.
    pub(super) async fn asked(&self, count: usize) {
        while self.heads().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(listener: TcpListener, name: &'static str, troupe: Rc<Troupe>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let talking = spawn_local(talk(stream, name, troupe.clone()));
        troupe.connections.borrow_mut().push(talking.abort_handle());
    }
}

async fn talk(stream: TcpStream, name: &'static str, troupe: Rc<Troupe>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        troupe.heads.borrow_mut().push(head);
        let status = match target.split('?').next() {
            Some("/reset") => return,
            Some("/fail") => "500 Internal Server Error",
            _ => "200 OK",
        };
        if target == "/wait" {
            troupe.lets_go.notified().await;
        }
        let length = name.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{name}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
