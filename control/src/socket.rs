//! The control socket: in a directory that nobody else can write to, with the right mode before the first connect is
//! possible, and never on top of a live daemon's.
//!
//! A socket that is bound and not listening refuses every connect. So: bind under another name, set the mode, move it
//! into its place, and listen last. (A umask would do too, but it belongs to the whole process.)

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    sockopt::socket_peercred,
};
use tokio::net::UnixListener;

use crate::failpoint;

/// Connects that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers on it.
    #[error("a live daemon (pid {pid}) has the control socket {}", path.display())]
    Live {
        /// The socket.
        path: PathBuf,
        /// Whose.
        pid: String,
    },
    /// Something that is no socket is in its place.
    #[error("{} is in the control socket's place and is {what}; it is left alone", path.display())]
    NoSocket {
        /// What is there.
        path: PathBuf,
        /// Of which kind it is.
        what: &'static str,
    },
    /// Others could put their own socket there.
    #[error("the control socket's directory {} is not safe: {why}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused.
    #[error("the control socket {}: {what}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was done.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

impl SocketError {
    fn io<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |error| Self::Io {
            path: path.to_owned(),
            what,
            error: error.into(),
        }
    }
}

/// A socket in its place, on which nobody can connect yet. Its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    socket: OwnedFd,
    file: SocketFile,
}

/// A socket that accepts. Its file goes when the last of those who have it is gone.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
    /// Another process has it too, and may go on with it.
    others: AtomicBool,
}

impl Listening {
    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.file.path.clone()
    }

    /// The socket, for a process that may take over.
    pub(crate) fn lend(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    /// It has taken over: the file stays.
    pub(crate) fn give_away(&self) {
        self.file.others.store(true, Ordering::Relaxed);
    }

    /// The process before this one has ended: the file goes with this one.
    pub(crate) fn own(&self) {
        self.file.others.store(false, Ordering::Relaxed);
    }
}

impl ControlSocket {
    /// Takes the place `path`, with these permission bits, unless somebody has it.
    pub(crate) fn bind(path: &Path, mode: u32) -> Result<Self, SocketError> {
        make_directory(path)?;
        must_be_free(path)?;
        let aside = directory_of(path).join(format!(".{}", std::process::id()));
        // One that we left ourselves, in an earlier life with the same number.
        let _ = fs::remove_file(&aside);
        let socket = new_socket()
            .and_then(|socket| bind(&socket, &SocketAddrUnix::new(&aside)?).map(|()| socket))
            .map_err(SocketError::io("binding", path))?;
        failpoint::here("socket.bound");
        let placed = fs::set_permissions(&aside, Permissions::from_mode(mode))
            .and_then(|()| fs::symlink_metadata(&aside))
            .and_then(|found| fs::rename(&aside, path).map(|()| found.ino()));
        let inode = placed.map_err(|error| {
            let _ = fs::remove_file(&aside);
            SocketError::io("putting it in its place", path)(error)
        })?;
        failpoint::here("socket.placed");
        let path = path.to_owned();
        let file = SocketFile::new(path, inode, false);
        Ok(Self { socket, file })
    }

    /// That of the process before this one, which listens on it.
    pub(crate) fn inherit(path: &Path, socket: OwnedFd) -> Result<Self, SocketError> {
        let found = fs::symlink_metadata(path);
        let found = found.map_err(SocketError::io("taking it over", path))?;
        let file = SocketFile::new(path.to_owned(), found.ino(), true);
        Ok(Self { socket, file })
    }

    /// From now on connects are possible. To be called on the runtime that will accept.
    pub(crate) fn listen(self) -> Result<Listening, SocketError> {
        let Self { socket, file } = self;
        listen(&socket, BACKLOG).map_err(SocketError::io("listening", &file.path))?;
        let listener = UnixListener::from_std(socket.into())
            .map_err(SocketError::io("listening", &file.path))?;
        failpoint::here("socket.listens");
        Ok(Listening { listener, file })
    }
}

impl SocketFile {
    fn new(path: PathBuf, inode: u64, others: bool) -> Self {
        let others = AtomicBool::new(others);
        Self {
            path,
            inode,
            others,
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.others.load(Ordering::Relaxed) {
            return;
        }
        // Only ours: another daemon may have put its own there.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

fn make_directory(path: &Path) -> Result<(), SocketError> {
    let directory = directory_of(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(SocketError::io("making its directory", path))?;
    let found = directory
        .metadata()
        .map_err(SocketError::io("looking at its directory", path))?;
    let own = rustix::process::geteuid().as_raw();
    let not_safe = |why| SocketError::Unsafe {
        path: directory.to_owned(),
        why,
    };
    if found.uid() != own && found.uid() != 0 {
        return Err(not_safe(format!("it belongs to uid {}", found.uid())));
    }
    let (world_writable, sticky) = (found.mode() & 0o002 != 0, found.mode() & 0o1000 != 0);
    if world_writable && !sticky {
        let mode = found.mode() & 0o7777;
        return Err(not_safe(format!(
            "everybody may write to it (mode {mode:o})"
        )));
    }
    Ok(())
}

/// What is there may be replaced only if it is a socket on which nobody answers.
fn must_be_free(path: &Path) -> Result<(), SocketError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::io("looking at its place", path)(error)),
    };
    if !found.file_type().is_socket() {
        let (path, what) = (path.to_owned(), kind(found.file_type()));
        return Err(SocketError::NoSocket { path, what });
    }
    let live = |pid: String| SocketError::Live {
        path: path.to_owned(),
        pid,
    };
    let asked = new_socket().map_err(SocketError::io("asking who has it", path))?;
    let address = SocketAddrUnix::new(path).map_err(SocketError::io("asking who has it", path))?;
    match connect(&asked, &address) {
        Ok(()) => {
            let peer = socket_peercred(&asked);
            Err(live(peer.map_or("unknown".to_owned(), |peer| {
                peer.pid.as_raw_nonzero().to_string()
            })))
        }
        // Its queue is full: it is alive, and has much to do.
        Err(Errno::AGAIN) => Err(live("unknown".to_owned())),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        Err(error) => Err(SocketError::io("asking who has it", path)(error)),
    }
}

fn kind(found: fs::FileType) -> &'static str {
    if found.is_symlink() {
        "a symbolic link"
    } else if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a FIFO"
    } else if found.is_file() {
        "a regular file"
    } else {
        "no socket"
    }
}
