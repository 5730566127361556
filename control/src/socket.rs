//! The control socket: in a directory that nobody else can write to, with the right mode before the first connect is
//! possible, and never on top of a live daemon's.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers on it.
    #[error("a live daemon has the control socket {}", .0.display())]
    Live(PathBuf),
    /// Something that is no socket is in its place.
    #[error("{} is in the control socket's place and is no socket; it is left alone", .0.display())]
    NoSocket(PathBuf),
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

/// A bound socket; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Binds under another name, sets the mode, and moves it into its place: nobody can connect before.
    pub(crate) fn bind(path: &Path, mode: u32) -> Result<Self, SocketError> {
        let failed = |what| {
            move |error| SocketError::Io {
                path: path.to_owned(),
                what,
                error,
            }
        };
        make_directory(path)?;
        check_place(path)?;
        let mut aside = path.to_owned().into_os_string();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        let _ = fs::remove_file(&aside);
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(&aside);
        rustix::process::umask(mask);
        let listener = bound.map_err(failed("binding"))?;
        let place = || {
            fs::set_permissions(&aside, Permissions::from_mode(mode))?;
            fs::rename(&aside, path)?;
            fs::symlink_metadata(path).map(|found| found.ino())
        };
        let inode = place().map_err(|error| {
            let _ = fs::remove_file(&aside);
            failed("putting it in its place")(error)
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode,
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Only ours: a successor may have put its own there.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_directory(path: &Path) -> Result<(), SocketError> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let failed = |error| SocketError::Io {
        path: path.to_owned(),
        what: "making its directory",
        error,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let found = directory.metadata().map_err(failed)?;
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
        return Err(not_safe(format!(
            "everybody may write to it (mode {:o})",
            found.mode() & 0o7777
        )));
    }
    Ok(())
}

/// What is there may be replaced only if it is a socket on which nobody answers.
fn check_place(path: &Path) -> Result<(), SocketError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Live(path.to_owned())),
        Err(_) => Ok(()),
    }
}
