//! The old process: starts the new one, lends it everything, and leaves only once it has proved itself.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use holdfast_control::succession::{Belongings, Lent};
use holdfast_control::wire::Upgraded;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::packet::{Channel, FILES_MAX, FORMAT, Legacy, Packet, Sockets, pair};
use super::{BEAT, Estate, VARIABLE};

/// How long the new process may take to get ready: it replays the journal and publishes every app.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long it may take to accept then.
const ACCEPT_MAX: Duration = Duration::from_secs(5);
/// How long it has to serve before this one leaves.
const PROOF: Duration = Duration::from_secs(3);
/// It is taken to hang after so long a silence.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Whether this process accepts connections.
pub(crate) trait Accepting {
    fn accept(&self, accepts: bool);
}

/// The process that serves now. It learns of this one's end by the end of this.
pub(crate) struct Successor {
    pub(crate) upgraded: Upgraded,
    _channel: Channel,
}

/// What may be the successor. Unless it proves itself it is killed.
struct Candidate {
    child: Child,
    channel: Channel,
    connections: usize,
}

/// Returns when another process serves and this one is to end; else, why this one serves on.
pub(crate) async fn hand_over(
    estate: &Estate,
    lent: Lent,
    accepting: &impl Accepting,
) -> Result<Successor, String> {
    let began = Instant::now();
    if std::process::id() == 1 {
        return Err(
            "this is process 1, and everything here would end with it: replace the container"
                .to_owned(),
        );
    }
    let program = match lent.binary {
        Some(program) => program,
        None => own_program()?,
    };
    let mut candidate = Candidate::start(program.clone())?;
    let proved = candidate.prove(estate, &lent.belongings, accepting).await;
    match proved {
        Ok(version) => {
            let upgraded = Upgraded {
                pid: candidate.child.id().unwrap_or_default(),
                version,
                was: std::process::id(),
                took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            };
            Ok(candidate.leave(upgraded))
        }
        Err(why) => {
            // It must not write to the journal any more.
            let _ = candidate.child.kill().await;
            let cut = match candidate.connections {
                0 => String::new(),
                count => format!("; {count} connections that it had accepted are cut"),
            };
            tracing::error!("{}: {why}{cut}", program.display());
            Err(format!("{}: {why}{cut}", program.display()))
        }
    }
}

/// What is now where this process was started from: it may have been replaced.
fn own_program() -> Result<PathBuf, String> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| format!("this program's place is not known: {error}"))?;
    // What Linux says of a file that was replaced.
    let text = program.to_string_lossy();
    Ok(match text.strip_suffix(" (deleted)") {
        Some(place) => PathBuf::from(place),
        None => program,
    })
}

/// As this process was called.
fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

impl Candidate {
    fn start(program: PathBuf) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", program.display());
        let (ours, theirs) = pair().map_err(failed)?;
        let channel = Channel::new(ours).map_err(failed)?;
        let child = Command::new(&program)
            .args(arguments())
            .env(VARIABLE, "1")
            .stdin(Stdio::from(theirs))
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        Ok(Self {
            child,
            channel,
            connections: 0,
        })
    }

    /// Its version, once it has served for a while.
    async fn prove(
        &mut self,
        estate: &Estate,
        belongings: &Belongings,
        accepting: &impl Accepting,
    ) -> Result<String, String> {
        self.lend(estate, belongings).await?;
        let version = match self.hear("ready", READY_MAX).await? {
            Packet::Ready { version } => version,
            other => return Err(out_of_turn(&other)),
        };
        accepting.accept(false);
        let proved = self.serve().await;
        if proved.is_err() {
            accepting.accept(true);
        }
        proved.map(|()| version)
    }

    async fn lend(&mut self, estate: &Estate, belongings: &Belongings) -> Result<(), String> {
        let listeners = estate.listeners.iter();
        let listeners = listeners.map(|it| Sockets {
            asked: it.asked,
            address: it.address,
            count: it.sockets.len(),
        });
        let legacy = Legacy {
            format: FORMAT,
            listeners: listeners.collect(),
            admin: estate.admin.as_ref().map(|(address, _)| *address),
            state_dir: belongings.state_dir.clone(),
            control: belongings.socket.clone(),
            tickets: estate.tickets.tell(),
        };
        let files = files(estate, belongings);
        self.tell(&Packet::Legacy(legacy), &[], "ready").await?;
        for some in files.chunks(FILES_MAX) {
            self.tell(&Packet::Files, some, "ready").await?;
        }
        Ok(())
    }

    /// It accepts, and this process does not.
    async fn serve(&mut self) -> Result<(), String> {
        self.tell(&Packet::Accept, &[], "serving").await?;
        let (began, mut patience) = (Instant::now(), ACCEPT_MAX);
        while began.elapsed() < PROOF {
            match self.hear("serving", patience).await? {
                Packet::Serving { connections } => self.connections = connections,
                other => return Err(out_of_turn(&other)),
            }
            patience = SILENCE_MAX;
        }
        self.tell(&Packet::Stay, &[], "serving").await
    }

    async fn tell(
        &mut self,
        packet: &Packet,
        files: &[BorrowedFd<'_>],
        what: &str,
    ) -> Result<(), String> {
        match self.channel.send(packet, files).await {
            Ok(()) => Ok(()),
            // What it said last is why it has gone.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                match self.hear(what, 10 * BEAT).await {
                    Ok(other) => Err(out_of_turn(&other)),
                    Err(why) => Err(why),
                }
            }
            Err(error) => Err(format!("nothing can be told to it: {error}")),
        }
    }

    /// Its next word.
    async fn hear(&mut self, what: &str, within: Duration) -> Result<Packet, String> {
        match timeout(within, self.channel.receive()).await {
            Err(_) => Err(format!("it was not {what} within {within:?}")),
            Ok(Ok(Some(Packet::Failed { why }))) => Err(why),
            Ok(Ok(Some(packet))) => Ok(packet),
            Ok(Ok(None)) => Err(self.how_it_ended(what).await),
            Ok(Err(error)) => Err(format!("it says nothing sensible: {error}")),
        }
    }

    async fn how_it_ended(&mut self, what: &str) -> String {
        // Its end follows that of its socket, unless it has closed that on purpose.
        match timeout(10 * BEAT, self.child.wait()).await {
            Ok(Ok(status)) => format!("it ended before it was {what}: {}", told(status)),
            _ => format!("it hung up before it was {what}"),
        }
    }

    fn leave(self, upgraded: Upgraded) -> Successor {
        let Self { child, channel, .. } = self;
        // Dropped, it would be killed.
        std::mem::forget(child);
        Successor {
            upgraded,
            _channel: channel,
        }
    }
}

fn files<'a>(estate: &'a Estate, belongings: &'a Belongings) -> Vec<BorrowedFd<'a>> {
    let listeners = estate.listeners.iter().flat_map(|it| &it.sockets);
    let admin = estate.admin.iter().map(|(_, socket)| socket);
    let ours = [&belongings.lock, &belongings.listener];
    let all = listeners.chain(admin).chain(ours);
    all.map(|file| file.as_fd()).collect()
}

fn out_of_turn(packet: &Packet) -> String {
    format!("it said {packet:?} out of turn")
}

fn told(status: ExitStatus) -> String {
    match status.code() {
        Some(2) => "exit status 2, see the log".to_owned(),
        _ => status.to_string(),
    }
}
