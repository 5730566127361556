//! A proxy that runs. Dropping it ends it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::load;
use super::check;
use crate::trouble::{Trouble, While as _};

/// How long a proxy may take to be there.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at whether it is.
const START_POLL: Duration = Duration::from_millis(20);

/// How to start one.
pub(crate) struct Start<'a> {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    pub(crate) address: SocketAddr,
    pub(crate) directory: &'a Path,
}

pub(crate) struct Running {
    name: &'static str,
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    /// What it does otherwise than asked, one sentence each.
    pub(crate) differs: Vec<String>,
}

impl Start<'_> {
    pub(crate) fn now(mut self) -> Result<Running, Trouble> {
        let log = self.directory.join("log");
        let file = File::create(&log).while_doing("a log")?;
        let copy = file.try_clone().while_doing("a log")?;
        let child = self.command.stdin(Stdio::null()).stdout(copy).stderr(file);
        let child = child.spawn().while_doing(self.name)?;
        Ok(Running {
            name: self.name,
            child,
            address: self.address,
            log,
            differs: Vec::new(),
        })
    }
}

impl Running {
    /// Its process: each of them serves in the one that was started.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Looks whether it does all the work, over HTTP/1.1 in the clear.
    pub(crate) fn check(&mut self) {
        self.differs = check::differs(self.address, &load::host(0));
    }

    /// Waits until it takes connections.
    pub(crate) fn wait(&mut self) -> Result<(), Trouble> {
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().while_doing(self.name)?.is_some();
            if ended || began.elapsed() > START_TIMEOUT {
                return Err(Trouble::NotThere {
                    peer: self.name,
                    said: fs::read_to_string(&self.log).unwrap_or_default(),
                });
            }
            thread::sleep(START_POLL);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback at which nobody listens now.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
