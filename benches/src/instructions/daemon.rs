//! The whole daemon under callgrind, and the clients that ask it, one request after the other.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::callgrind::{Callgrind, Counted};
use super::{HOLDFAST, http2, origin};
use crate::browser;
use crate::trouble::{Trouble, While as _};

/// Under callgrind it takes some fifty times as long as else.
const START_MAX: Duration = Duration::from_secs(60);
/// Between two looks at whether it is there.
const START_POLL: Duration = Duration::from_millis(20);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What is asked of it.
pub(super) struct Asked {
    /// For files.
    pub(super) name: String,
    /// So many requests.
    pub(super) times: u32,
    /// The access log is on.
    pub(super) logs: bool,
    pub(super) manner: Manner,
}

/// How it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// All on one connection.
    Kept,
    /// Each on a connection of its own.
    Fresh,
    /// On streams of one connection.
    Http2,
}

impl Asked {
    /// All instructions of a daemon that is asked this, from its start to its end.
    pub(super) fn count(
        &self,
        callgrind: &Callgrind,
        holdfast: Option<&Path>,
    ) -> Result<u64, Trouble> {
        let directory = tempfile::tempdir().while_doing("a directory")?;
        let origin = origin::start().while_doing("an origin")?;
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listen = listen.and_then(|listener| listener.local_addr());
        let listen = listen.while_doing("a free address")?;
        let file = directory.path().join("holdfast.toml");
        let text = self.configuration(directory.path(), listen, origin);
        fs::write(&file, text).while_doing("a configuration")?;
        let mut command = match holdfast {
            Some(program) => Command::new(program),
            None => {
                let own = std::env::current_exe().while_doing("finding this program")?;
                let mut command = Command::new(own);
                command.arg(HOLDFAST);
                command
            }
        };
        command.args(["run", "--config"]).arg(file);
        let mut daemon = callgrind.start(&self.name, &command)?;
        wait_for(&mut daemon, listen)?;
        self.ask(listen).map_err(|why| {
            let said = daemon.said();
            Trouble::Words(format!("a request got no answer: {why}; it said:\n{said}"))
        })?;
        stop(&daemon).while_doing("stopping the daemon")?;
        daemon.end()
    }

    fn configuration(&self, directory: &Path, listen: SocketAddr, origin: SocketAddr) -> String {
        let path = |name: &str| directory.join(name).display().to_string();
        let log = match self.logs {
            true => path("access.log"),
            false => "off".to_owned(),
        };
        let (state, socket) = (path("state"), path("control.sock"));
        format!(
            "[server]\nworkers = 1\nstate_dir = {state:?}\naccess_log = {log:?}\n\
             [control]\nsocket = {socket:?}\n\
             [[listen]]\naddress = \"{listen}\"\n\
             [app.web]\nrelease = {{ id = \"v1\", instances = [\"{origin}\"] }}\n"
        )
    }

    fn ask(&self, daemon: SocketAddr) -> io::Result<()> {
        match self.manner {
            Manner::Kept => {
                let mut stream = connect(daemon)?;
                let request = browser::octets(false);
                (0..self.times).try_for_each(|_| exchange(&mut stream, &request))
            }
            Manner::Fresh => {
                let request = browser::octets(true);
                (0..self.times).try_for_each(|_| exchange(&mut connect(daemon)?, &request))
            }
            Manner::Http2 => http2::ask(connect(daemon)?, self.times, ANSWER_MAX),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    Ok(stream)
}

/// Asks, and reads the answer to the end of its body.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    stream.write_all(request)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(&origin::BODY) {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    match answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other("an answer other than 200")),
    }
}

/// Until it takes connections. The one on which nothing is asked is part of every run.
fn wait_for(daemon: &mut Counted, address: SocketAddr) -> Result<(), Trouble> {
    let began = Instant::now();
    while connect(address).is_err() {
        if !daemon.runs() || began.elapsed() > START_MAX {
            return Err(Trouble::NotThere {
                peer: "holdfast",
                said: daemon.said(),
            });
        }
        thread::sleep(START_POLL);
    }
    Ok(())
}

fn stop(daemon: &Counted) -> io::Result<()> {
    let process = i32::try_from(daemon.process()).ok().and_then(Pid::from_raw);
    let process = process.ok_or(io::ErrorKind::NotFound)?;
    kill_process(process, Signal::TERM).map_err(io::Error::from)
}
