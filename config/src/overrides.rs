//! What the command line says instead of the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::{Admin, Listen, Settings};

/// Flags that override the file. What is not given leaves the file's word standing; the same overrides apply again
/// when the file is read again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--listen`: instead of every `[[listen]]` of the file, which then need not have one.
    pub listen: Vec<SocketAddr>,
    /// `--workers`
    pub workers: Option<usize>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--control`
    pub socket: Option<PathBuf>,
    /// `--admin`
    pub admin: Option<SocketAddr>,
}

impl Overrides {
    /// `settings` with what is overridden replaced.
    #[must_use]
    pub fn apply(&self, mut settings: Settings) -> Settings {
        let Self {
            listen,
            workers,
            state_dir,
            socket,
            admin,
        } = self;
        if !listen.is_empty() {
            settings.listen = listen.iter().copied().map(Listen::plain).collect();
        }
        if let Some(workers) = *workers {
            settings.server.workers = workers;
        }
        if let Some(state_dir) = state_dir {
            settings.server.state_dir = Some(state_dir.clone());
        }
        if let Some(socket) = socket {
            settings.control.socket = Some(socket.clone());
        }
        if let Some(listen) = *admin {
            settings.admin = Some(Admin { listen });
        }
        settings
    }
}
