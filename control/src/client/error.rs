//! Why a call failed, told apart by what it leaves behind: nothing, a refusal, or doubt.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wire::Problem;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing was said: nobody listens, or not to us.
    #[error("no daemon answers on {}: {why}", socket.display())]
    NotReachable {
        /// Where.
        socket: PathBuf,
        /// What is wrong with it.
        why: NotReachable,
    },
    /// The daemon says no; nothing has changed.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The connection was lost; whether the daemon did what it was asked is not known.
    #[error("the connection to the daemon was lost: {0}")]
    Lost(String),
    /// There was no answer in time; whether the daemon did what it was asked is not known.
    #[error("the daemon has not answered within {limit:?}")]
    Late {
        /// How long was waited.
        limit: Duration,
    },
    /// An answer that makes no sense.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
}

impl ClientError {
    /// Whether the daemon may have done what it was asked all the same.
    pub const fn leaves_doubt(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Late { .. } => true,
            Self::NotReachable { .. } | Self::Problem(_) | Self::Protocol(_) => false,
        }
    }
}

/// What is wrong with a socket to which we cannot connect.
#[derive(Debug, thiserror::Error)]
pub enum NotReachable {
    /// There is no such file.
    #[error("there is no such socket")]
    Missing,
    /// The file is there, and nobody listens: a daemon that was killed leaves it behind.
    #[error("the socket is there, but nobody listens")]
    Deserted,
    /// The file is there, and is no socket.
    #[error("the file is there, but it is no socket")]
    NoSocket,
    /// Its mode or owner keeps us out.
    #[error("the socket may be there, but we are not allowed to use it")]
    NotAllowed,
    /// As many clients as the kernel lets wait are waiting.
    #[error("the socket is there, but was busy for {0:?}")]
    Busy(Duration),
    /// Something else.
    #[error("{0}")]
    Other(io::Error),
}

impl NotReachable {
    /// What a failed connect to `socket` means.
    pub(super) fn of(error: io::Error, socket: &Path) -> Self {
        use std::os::unix::fs::FileTypeExt;
        let found = || std::fs::metadata(socket);
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::NotAllowed,
            io::ErrorKind::ConnectionRefused => match found() {
                Ok(found) if !found.file_type().is_socket() => Self::NoSocket,
                Ok(_) | Err(_) => Self::Deserted,
            },
            _ => Self::Other(error),
        }
    }
}
