//! Lean apps and clients: so little of each request is kept that a hundred thousand can be under way at once. Each is a
//! child process, this binary executed again, that hears words on its standard input and says others on its output.
//!
//! What it costs to send, to answer and to write down comes on top of what the daemon takes, on the same cores.

mod app;
mod app_child;
mod book;
pub(crate) mod certificate;
mod child;
mod crowd;
mod head;
mod paced;
mod pages;
mod wire;

use std::io::{self, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

pub(crate) use app_child::App;
pub(crate) use book::{Arrival, Outcome, Sent, read_sent};
pub(crate) use child::Child;
pub(crate) use crowd::Crowd;
pub(crate) use head::HOST;
pub(crate) use paced::Paced;

const APP: &str = "loadtests-lean-app";
const CROWD: &str = "loadtests-lean-crowd";
const PACED: &str = "loadtests-lean-paced";

/// What a client speaks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
pub(crate) enum Kind {
    /// HTTP/1.1, a connection each
    H1,
    /// The same over TLS
    H1Tls,
    /// Streams of HTTP/2
    H2,
    /// The same over TLS
    H2Tls,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::H1, Self::H1Tls, Self::H2, Self::H2Tls];

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::H1 => "HTTP/1.1",
            Self::H1Tls => "HTTP/1.1 over TLS",
            Self::H2 => "HTTP/2",
            Self::H2Tls => "HTTP/2 over TLS",
        }
    }

    /// Whether TLS is below it.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::H1Tls | Self::H2Tls)
    }

    /// Whether requests share connections.
    pub(crate) fn is_h2(self) -> bool {
        matches!(self, Self::H2 | Self::H2Tls)
    }
}

/// Is one of them, if asked.
pub(crate) fn main_if_asked(verb: &str, argument: Option<&str>) -> Option<ExitCode> {
    let argument = argument.unwrap_or_default();
    let ended = match verb {
        APP => live(|ear| app::run(argument.to_owned(), ear)),
        CROWD => live(|ear| crowd::run(argument.to_owned(), ear)),
        PACED => live(|ear| paced::run(argument.to_owned(), ear)),
        _ => return None,
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            crate::say(&format!("{verb}: {why}"));
            ExitCode::from(2)
        }
    })
}

/// What a child hears, line by line. It ends with whoever started the child.
type Ear = mpsc::Receiver<String>;

fn live<F: Future<Output = io::Result<()>>>(life: impl FnOnce(Ear) -> F) -> io::Result<()> {
    raise_descriptors();
    let (heard, ear) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if heard.blocking_send(line).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, life(ear))
}

/// Returns when this has been heard.
async fn expect(ear: &mut Ear, word: &str) -> io::Result<()> {
    match ear.recv().await {
        Some(heard) if heard == word => Ok(()),
        heard => Err(io::Error::other(format!(
            "heard {heard:?} instead of {word}"
        ))),
    }
}

fn tell(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// As many as may be: each connection is one.
fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // Then it stays as it is, and what does not fit is told where it fails.
    let _ = setrlimit(Resource::Nofile, raised);
}
