//! The old process: starts the new one, lends it everything, and leaves only once it has proved itself.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use holdfast_control::Accepting;
use holdfast_control::failpoint;
use holdfast_control::succession::{Belongings, Lent};
use holdfast_control::wire::Upgraded;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::packet::{Channel, FILES_MAX, FORMAT, Legacy, Packet, Sockets, pair};
use super::{BEAT, Estate, VARIABLE};

/// How long the new process may take to get ready: it replays the journal and publishes every app.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long it has to serve before this one leaves.
const PROOF: Duration = Duration::from_secs(3);
/// It is taken to hang after so long a silence.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long it may take for its last requests, if it is to end after all.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// The process that serves now. It learns of this one's end by the end of this.
pub(crate) struct Successor {
    pub(crate) upgraded: Upgraded,
    _channel: Channel,
}

/// Why no other process serves.
pub(crate) enum NotReplaced {
    /// In words.
    Why(String),
    /// Both processes are to end.
    Stopped,
}

/// What may be the successor. Unless it proves itself it is killed.
struct Candidate {
    program: PathBuf,
    child: Child,
    channel: Channel,
    /// It was told to accept.
    accepts: bool,
    connections: usize,
}

/// What was seen of a candidate that will not do.
enum Unfit {
    /// In words.
    Because(String),
    /// It has hung up, or ended, before it was this.
    Gone(&'static str),
    /// It was told to stop, and answers its last requests.
    Leaving,
}

/// Returns when another process serves and this one is to end; else, why this one serves on. `stop`: somebody wants both
/// to end.
pub(crate) async fn hand_over(
    estate: &Estate,
    lent: Lent,
    accepting: &Accepting,
    stop: impl Future<Output = ()>,
) -> Result<Successor, NotReplaced> {
    let began = Instant::now();
    failpoint::here("lend.began");
    let mut legacy = Unsaid::all(estate, &lent.belongings);
    let candidate = Candidate::start(lent.binary, &mut legacy);
    let mut candidate = candidate.map_err(NotReplaced::Why)?;
    let proved = tokio::select! {
        proved = candidate.prove(legacy, accepting) => proved,
        () = stop => {
            candidate.end_well().await;
            return Err(NotReplaced::Stopped);
        }
    };
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
        Err(unfit) => {
            // First of all: clients wait.
            accepting.set(true);
            failpoint::here("lend.accepts_again");
            let why = candidate.dismiss(unfit).await;
            tracing::error!("not upgraded: {why}");
            Err(NotReplaced::Why(why))
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
    /// What is lent is said before it is there to hear it: from its first moment on it can do without this process.
    fn start(binary: Option<PathBuf>, legacy: &mut Unsaid<'_>) -> Result<Self, String> {
        if std::process::id() == 1 {
            let all = "everything here would end with it: replace the container";
            return Err(format!("this is process 1, and {all}"));
        }
        let program = match binary {
            Some(program) => program,
            None => own_program()?,
        };
        let failed = |error: Error| format!("{}: {error}", program.display());
        let (ours, theirs) = pair().map_err(failed)?;
        let channel = Channel::new(ours).map_err(failed)?;
        legacy.say_what_fits(&channel).map_err(failed)?;
        failpoint::here("lend.said");
        let child = Command::new(&program)
            .args(arguments())
            .env(VARIABLE, "1")
            // They name this process.
            .env_remove("WATCHDOG_PID")
            .env_remove("LISTEN_PID")
            .stdin(Stdio::from(theirs))
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        failpoint::here("lend.spawned");
        Ok(Self {
            program,
            child,
            channel,
            accepts: false,
            connections: 0,
        })
    }

    /// Its version, once it has served for a while.
    async fn prove(&mut self, legacy: Unsaid<'_>, accepting: &Accepting) -> Result<String, Unfit> {
        for (packet, files) in legacy.0 {
            self.tell(&packet, &files, "ready").await?;
        }
        let version = match self.hear("ready", READY_MAX).await? {
            Packet::Ready { pid, version } => {
                self.must_be_child(pid)?;
                failpoint::here("lend.is_ready");
                version
            }
            other => return Err(out_of_turn(&other)),
        };
        accepting.set(false);
        failpoint::here("lend.paused");
        self.accepts = true;
        self.tell(&Packet::Accept, &[], "serving").await?;
        failpoint::here("lend.may_accept");
        let began = Instant::now();
        while began.elapsed() < PROOF {
            match self.hear("serving", SILENCE_MAX).await? {
                Packet::Serving { connections } => {
                    self.connections = connections;
                    failpoint::here("lend.serves");
                }
                Packet::Leaving => return Err(Unfit::Leaving),
                other => return Err(out_of_turn(&other)),
            }
        }
        self.tell(&Packet::Stay, &[], "serving").await?;
        failpoint::here("lend.may_stay");
        Ok(version)
    }

    /// Another one, such as a child of a shell, could neither be watched nor ended.
    fn must_be_child(&self, pid: u32) -> Result<(), Unfit> {
        match self.child.id() {
            Some(child) if child != pid => Err(Unfit::Because(format!(
                "it is process {child}, and what is ready is its child {pid}: a script has to `exec` it"
            ))),
            _ => Ok(()),
        }
    }

    async fn tell(
        &mut self,
        packet: &Packet,
        files: &[BorrowedFd<'_>],
        what: &'static str,
    ) -> Result<(), Unfit> {
        match self.channel.send(packet, files).await {
            Ok(()) => Ok(()),
            // What it said last is why it has gone.
            Err(error) if has_gone(&error) => match self.hear(what, 10 * BEAT).await {
                Ok(other) => Err(out_of_turn(&other)),
                Err(unfit) => Err(unfit),
            },
            Err(error) => {
                let why = format!("nothing can be told to it: {error}");
                Err(Unfit::Because(why))
            }
        }
    }

    /// Its next word.
    async fn hear(&mut self, what: &'static str, within: Duration) -> Result<Packet, Unfit> {
        let because = |why| Err(Unfit::Because(why));
        match timeout(within, self.channel.receive()).await {
            Err(_) => because(format!("it was not {what} within {within:?}")),
            Ok(Ok(Some(Packet::Failed { why }))) => because(why),
            Ok(Ok(Some(packet))) => Ok(packet),
            Ok(Ok(None)) => Err(Unfit::Gone(what)),
            Ok(Err(error)) => because(format!("it says nothing sensible: {error}")),
        }
    }

    /// Sees to it that it is no more, and says why.
    async fn dismiss(mut self, unfit: Unfit) -> String {
        let why = match unfit {
            Unfit::Because(why) => why,
            Unfit::Gone(what) => self.how_it_ended(what).await,
            Unfit::Leaving => {
                if timeout(DRAIN_MAX, self.child.wait()).await.is_ok() {
                    self.connections = 0;
                }
                "it was told to stop".to_owned()
            }
        };
        // One that is no child of ours has only our word for it that we live.
        let _ = self.channel.send(&Packet::Refused, &[]).await;
        // It must not write to the journal any more.
        let _ = self.child.kill().await;
        failpoint::here("lend.dismissed");
        let program = self.program.display();
        match self.connections {
            0 => format!("{program}: {why}"),
            cut => format!("{program}: {why}; {cut} connections that it had accepted are cut"),
        }
    }

    async fn how_it_ended(&mut self, what: &str) -> String {
        // Its end follows that of its socket, unless it has closed that on purpose.
        match timeout(10 * BEAT, self.child.wait()).await {
            Ok(Ok(status)) => format!("it ended before it was {what}: {}", told(status)),
            _ => format!("it hung up before it was {what}"),
        }
    }

    /// If it serves already, its last requests are answered.
    async fn end_well(&mut self) {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let (true, Some(pid)) = (self.accepts, pid) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
            let _ = timeout(DRAIN_MAX, self.child.wait()).await;
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

/// What is still to be said of what is lent, in this order.
struct Unsaid<'a>(VecDeque<(Packet, Vec<BorrowedFd<'a>>)>);

impl<'a> Unsaid<'a> {
    fn all(estate: &'a Estate, belongings: &'a Belongings) -> Self {
        let listeners = estate.listeners.iter();
        let listeners = listeners.map(|it| Sockets {
            asked: it.asked,
            address: it.address,
            count: it.sockets.len(),
            shared: it.shared,
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
        let files = files.chunks(FILES_MAX);
        let files = files.map(|some| (Packet::Files, some.to_vec()));
        let first = [(Packet::Legacy(legacy), Vec::new())];
        Self(first.into_iter().chain(files).collect())
    }

    /// As much as the socket takes while nobody reads: all, but for thousands of listeners.
    fn say_what_fits(&mut self, channel: &Channel) -> Result<(), Error> {
        while let Some((packet, files)) = self.0.front() {
            if !channel.try_send(packet, files)? {
                break;
            }
            self.0.pop_front();
        }
        Ok(())
    }
}

fn files<'a>(estate: &'a Estate, belongings: &'a Belongings) -> Vec<BorrowedFd<'a>> {
    let listeners = estate.listeners.iter().flat_map(|it| &it.sockets);
    let admin = estate.admin.iter().map(|(_, socket)| socket);
    let ours = [&belongings.lock, &belongings.listener];
    let all = listeners.chain(admin).chain(ours);
    all.map(|file| file.as_fd()).collect()
}

fn has_gone(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn out_of_turn(packet: &Packet) -> Unfit {
    Unfit::Because(format!("it said {packet:?} out of turn"))
}

fn told(status: ExitStatus) -> String {
    match status.code() {
        Some(2) => "exit status 2, see the log".to_owned(),
        _ => status.to_string(),
    }
}
