//! What the two processes say to each other: packets of JSON, and open files with them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::tls::Told;

/// Which packets there are. Another number: another language.
pub(super) const FORMAT: u32 = 1;
/// Files with one packet: the kernel takes up to 253 (SCM_MAX_FD).
pub(super) const FILES_MAX: usize = 128;
/// A packet is no longer.
const PACKET_MAX: usize = 64 << 10;

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Packet {
    /// By the old process, first: what it lends. The files follow in this order.
    Legacy(Legacy),
    /// By the old one: so many of them.
    Files,
    /// By the new one: everything is open.
    Ready { pid: u32, version: String },
    /// By the old one: nobody else accepts now.
    Accept,
    /// By the new one, again and again: it accepts.
    Serving { connections: usize },
    /// By the new one: it was told to stop, and answers what it has.
    Leaving,
    /// By the old one: it leaves.
    Stay,
    /// By the old one: it goes on, the new one does not.
    Refused,
    /// By the new one, instead of anything else.
    Failed { why: String },
}

/// What is lent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Legacy {
    pub(super) format: u32,
    pub(super) listeners: Vec<Sockets>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) state_dir: PathBuf,
    pub(super) control: PathBuf,
    /// The newest first.
    pub(super) tickets: Vec<Told>,
}

/// One address that is listened on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sockets {
    pub(super) asked: SocketAddr,
    pub(super) address: SocketAddr,
    pub(super) count: usize,
    #[serde(default)]
    pub(super) shared: bool,
}

impl Legacy {
    /// How many files come with it: the sockets, that of the metrics, the journal's lock, the control socket.
    pub(super) fn files(&self) -> usize {
        let sockets: usize = self.listeners.iter().map(|it| it.count).sum();
        sockets + usize::from(self.admin.is_some()) + 2
    }
}

/// Two ends.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    Ok(socketpair(AddressFamily::UNIX, kind, flags, None)?)
}

pub(super) fn send(to: impl AsFd, packet: &Packet, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let octets = serde_json::to_vec(packet)?;
    if octets.len() > PACKET_MAX {
        return Err(io::Error::other("too many listeners to tell of"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !with.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many files for one packet"));
    }
    // A process that is gone is an error here, not a signal.
    sendmsg(to, &[IoSlice::new(&octets)], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next packet and its files. None: the other side has ended.
pub(super) fn receive(from: &impl AsFd) -> io::Result<Option<(Packet, Vec<OwnedFd>)>> {
    let mut octets = vec![0; PACKET_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        from,
        &mut [IoSliceMut::new(&mut octets)],
        &mut with,
        RecvFlags::CMSG_CLOEXEC,
    );
    let got = match got {
        // It ended with packets of ours unread; what it said is still there. The kernel says so once.
        Err(Errno::CONNRESET) => return receive(from),
        got => got?,
    };
    let mut files = Vec::new();
    for message in with.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    if got
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::other("a packet came in part"));
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    let packet = serde_json::from_slice(&octets[..got.bytes])?;
    Ok(Some((packet, files)))
}

/// One end, for a process that has other things to do meanwhile. (A stream only to the runtime, which waits for both
/// kinds alike.)
pub(super) struct Channel(UnixStream);

impl Channel {
    /// On the runtime that calls it.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(socket)?))
    }

    pub(super) async fn send(&self, packet: &Packet, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let sending = || send(&self.0, packet, files);
        self.0.async_io(Interest::WRITABLE, sending).await
    }

    /// False: there is no room for it now.
    pub(super) fn try_send(&self, packet: &Packet, files: &[BorrowedFd<'_>]) -> io::Result<bool> {
        match send(&self.0, packet, files) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Files that come with it are closed: nobody sends any here.
    pub(super) async fn receive(&self) -> io::Result<Option<Packet>> {
        let receiving = || receive(&self.0);
        let received = self.0.async_io(Interest::READABLE, receiving).await?;
        Ok(received.map(|(packet, _)| packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    #[test]
    fn files_arrive_with_their_packet_and_are_the_same_files() {
        let (ours, theirs) = pair().unwrap();
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(b"here").unwrap();
        send(&ours, &Packet::Files, &[file.as_fd(), ours.as_fd()]).unwrap();
        let (packet, files) = receive(&theirs).unwrap().unwrap();
        assert!(matches!(packet, Packet::Files));
        assert_eq!(files.len(), 2);
        let mut same = File::from(files.into_iter().next().unwrap());
        same.rewind().unwrap();
        let mut text = String::new();
        same.read_to_string(&mut text).unwrap();
        assert_eq!(text, "here");
    }

    #[test]
    fn the_end_of_the_other_side_is_seen_behind_what_it_said() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, &Packet::Stay, &[]).unwrap();
        drop(ours);
        assert!(matches!(receive(&theirs).unwrap(), Some((Packet::Stay, _))));
        assert!(receive(&theirs).unwrap().is_none());
        assert!(send(&theirs, &Packet::Stay, &[]).is_err());
    }

    #[test]
    fn what_was_said_by_one_who_did_not_listen_is_heard() {
        let (ours, theirs) = pair().unwrap();
        send(&theirs, &Packet::Accept, &[]).unwrap();
        let why = "not today".to_owned();
        send(&ours, &Packet::Failed { why }, &[]).unwrap();
        drop(ours);
        let heard = receive(&theirs).unwrap();
        assert!(
            matches!(heard, Some((Packet::Failed { .. }, _))),
            "{heard:?}"
        );
        assert!(receive(&theirs).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_channel_waits_for_a_packet() {
        let (ours, theirs) = pair().unwrap();
        let (ours, theirs) = (Channel::new(ours).unwrap(), Channel::new(theirs).unwrap());
        let waits = async { theirs.receive().await.unwrap().unwrap() };
        let says = async {
            tokio::task::yield_now().await;
            ours.send(&Packet::Serving { connections: 7 }, &[])
                .await
                .unwrap();
        };
        let (packet, ()) = tokio::join!(waits, says);
        assert!(matches!(packet, Packet::Serving { connections: 7 }));
    }
}
