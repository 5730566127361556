//! The new process: takes what it is lent, gets ready, and serves once the old one does not accept any more.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use holdfast_control::failpoint;
use holdfast_control::succession::Belongings;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use super::packet::{Channel, FORMAT, Legacy, Packet, receive, send};
use super::{BEAT, Estate, Listener, VARIABLE};
use crate::tls::{NoKey, TicketKeys};

/// What this process got from the one before it.
pub(crate) struct Heir {
    socket: OwnedFd,
    pub(crate) estate: Estate,
    /// None once they were taken.
    pub(crate) belongings: Option<Belongings>,
}

/// The way to tell the process before this one that it has to go on.
pub(crate) struct Excuse(OwnedFd);

/// The process before this one, which has stopped to accept and waits whether this one lives.
pub(crate) struct Predecessor {
    channel: Channel,
    /// It waits no more.
    is_over: AtomicBool,
}

/// Why there is no inheritance.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLegacy {
    #[error("the process before this one lends nothing: {0}")]
    Io(#[from] io::Error),
    #[error("the process before this one has ended")]
    Ended,
    #[error("the process before this one speaks format {0}, this one {FORMAT}: restart it instead")]
    Format(u32),
    #[error("the process before this one lends {0} files instead of {1}")]
    Files(usize, usize),
    #[error(transparent)]
    Tickets(#[from] NoKey),
}

/// What the process before this one lends; none: there is none.
pub(crate) fn inherit() -> Result<Option<Heir>, NoLegacy> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(None);
    }
    let Some(socket) = standard_input()? else {
        return Ok(None);
    };
    failpoint::here("inherit.began");
    let legacy = match receive(&socket)? {
        Some((Packet::Legacy(legacy), _)) => legacy,
        Some(_) => return Err(NoLegacy::Format(0)),
        None => return Err(NoLegacy::Ended),
    };
    failpoint::here("inherit.told");
    if legacy.format != FORMAT {
        return Err(NoLegacy::Format(legacy.format));
    }
    let mut files = Vec::new();
    while files.len() < legacy.files() {
        match receive(&socket)? {
            Some((Packet::Files, more)) if !more.is_empty() => files.extend(more),
            Some(_) => return Err(NoLegacy::Files(files.len(), legacy.files())),
            None => return Err(NoLegacy::Ended),
        }
    }
    failpoint::here("inherit.has_files");
    let (estate, belongings) = sort(legacy, files)?;
    Ok(Some(Heir {
        socket,
        estate,
        belongings: Some(belongings),
    }))
}

/// The socket that is the standard input, which is nothing from now on. None: it is something else.
fn standard_input() -> io::Result<Option<OwnedFd>> {
    let stdin = rustix::stdio::stdin();
    if socket_type(stdin).ok() != Some(SocketType::SEQPACKET) {
        return Ok(None);
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(Some(socket))
}

/// What is what, in the order in which it was lent.
fn sort(legacy: Legacy, files: Vec<OwnedFd>) -> Result<(Estate, Belongings), NoLegacy> {
    let (count, expected) = (files.len(), legacy.files());
    let mut files = files.into_iter();
    let listeners = legacy.listeners.into_iter();
    let listeners = listeners.map(|it| Listener {
        asked: it.asked,
        address: it.address,
        sockets: files.by_ref().take(it.count).collect(),
        shared: it.shared,
    });
    let listeners = listeners.collect();
    let mut next = || files.next().ok_or(NoLegacy::Files(count, expected));
    let admin = match legacy.admin {
        Some(address) => Some((address, next()?)),
        None => None,
    };
    let belongings = Belongings {
        state_dir: legacy.state_dir,
        lock: next()?,
        socket: legacy.control,
        listener: next()?,
    };
    let estate = Estate {
        listeners,
        admin,
        tickets: TicketKeys::of(legacy.tickets)?,
    };
    Ok((estate, belongings))
}

impl Heir {
    /// The sockets of this address, and where they listen.
    pub(crate) fn listener(&mut self, asked: SocketAddr) -> Option<Listener> {
        let listeners = &mut self.estate.listeners;
        let at = listeners.iter().position(|it| it.asked == asked)?;
        let found = listeners.remove(at);
        (!found.sockets.is_empty()).then_some(found)
    }

    /// An address that nobody has asked for, and that a service manager keeps open: clients there would wait for nobody.
    pub(crate) fn left_open(&self) -> Option<SocketAddr> {
        let mut left = self.estate.listeners.iter();
        left.find(|it| it.shared).map(|it| it.asked)
    }

    /// The socket that serves the metrics, if it is the one that is wanted.
    pub(crate) fn admin(&mut self, wanted: SocketAddr) -> Option<OwnedFd> {
        let (address, socket) = self.estate.admin.take()?;
        (address == wanted).then_some(socket)
    }

    /// For telling why this process will not do.
    pub(crate) fn excuse(&self) -> io::Result<Excuse> {
        Ok(Excuse(self.socket.try_clone()?))
    }

    /// Says that everything is open, and returns when nobody else accepts.
    pub(crate) async fn take_over(self) -> io::Result<Predecessor> {
        let channel = Channel::new(self.socket)?;
        let ready = Packet::Ready {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        failpoint::here("inherit.is_ready");
        // If it has died, there is nobody else now.
        if channel.send(&ready, &[]).await.is_ok() {
            failpoint::here("inherit.told_ready");
            match channel.receive().await? {
                Some(Packet::Accept) | None => {}
                Some(_) => return Err(io::Error::other("it goes on by itself")),
            }
        }
        failpoint::here("inherit.may_accept");
        Ok(Predecessor {
            channel,
            is_over: AtomicBool::new(false),
        })
    }
}

impl Excuse {
    /// Tells why.
    pub(crate) fn tell(&self, why: String) {
        // If nobody hears it, it is in the log.
        let _ = send(&self.0, &Packet::Failed { why }, &[]);
    }
}

impl Predecessor {
    /// Says again and again how many connections there are, until it is told to stay, or leaves.
    pub(crate) async fn prove<F>(&self, connections: impl Fn() -> F)
    where
        F: Future<Output = usize>,
    {
        while !self.is_over.load(Relaxed) {
            let connections = connections().await;
            let beat = Packet::Serving { connections };
            if self.channel.send(&beat, &[]).await.is_err() {
                break;
            }
            failpoint::here("inherit.serves");
            tokio::select! {
                _ = self.channel.receive() => break,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
        self.is_over.store(true, Relaxed);
        failpoint::here("inherit.may_stay");
    }

    /// This process is to end. If the other one still waits, it accepts again: then the answer is true.
    pub(crate) async fn leave(&self) -> bool {
        if self.is_over.swap(true, Relaxed) {
            return false;
        }
        // It may have said just now that it leaves, and nobody has looked yet.
        let said = tokio::time::timeout(BEAT, self.channel.receive()).await;
        if let Ok(Ok(Some(Packet::Stay) | None)) = said {
            return false;
        }
        // If it has gone, nobody is left to be told.
        let _ = self.channel.send(&Packet::Leaving, &[]).await;
        true
    }

    /// Returns when it has ended.
    pub(crate) async fn ended(&self) {
        while let Ok(Some(_)) = self.channel.receive().await {}
    }
}
