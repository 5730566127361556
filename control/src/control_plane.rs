//! The control plane as the daemon starts it: first everything that can be refused is opened, then the apps are
//! published as the journal knew them, and only then does the socket answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use swap_core::AppName;

use crate::api::{Api, ReloadHook};
use crate::driver::Driver;
use crate::events::Events;
use crate::journal::{History, Journal, JournalError};
use crate::plane::{DataPlane, Signals};
use crate::server;
use crate::socket::{ControlSocket, SocketError};
use crate::swaps::Swaps;
use crate::users::{UnknownUser, Users};

/// What a control plane needs to know.
pub struct Options {
    /// Where the journal lives.
    pub state_dir: PathBuf,
    /// Where the socket is.
    pub socket: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Who may command besides root and the daemon's own user.
    pub users: Vec<String>,
    /// Reads the configuration anew.
    pub reload: ReloadHook,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A user.
    #[error(transparent)]
    User(#[from] UnknownUser),
}

/// A control plane that has opened everything and published nothing.
pub struct ControlPlane {
    journal: Journal,
    history: History,
    socket: ControlSocket,
    users: Users,
    reload: ReloadHook,
}

/// A control plane that serves.
#[derive(Clone)]
pub struct Handle {
    api: Api,
    swaps: Swaps,
}

impl ControlPlane {
    /// Opens the journal and takes the socket's place; nobody can connect yet.
    ///
    /// # Errors
    ///
    /// If another daemon has either, if the journal is damaged, if the socket's place is not safe.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options {
            state_dir,
            socket,
            mode,
            users,
            reload,
        } = options;
        let users = Users::new(&users)?;
        let (journal, history) = Journal::open(&state_dir)?;
        let socket = ControlSocket::bind(&socket, mode)?;
        Ok(Self {
            journal,
            history,
            socket,
            users,
            reload,
        })
    }

    /// Publishes the apps and begins to serve, on the runtime that calls it. `plane` knows their settings already.
    ///
    /// # Errors
    ///
    /// If the socket cannot listen.
    pub async fn start(
        self,
        apps: BTreeMap<AppName, holdfast_config::App>,
        plane: Arc<dyn DataPlane>,
        signals: Signals,
    ) -> Result<Handle, OpenError> {
        let Self {
            journal,
            history,
            socket,
            users,
            reload,
        } = self;
        let events = Events::new();
        let (mut driver, messages) = Driver::new(plane, journal, history, events.clone());
        driver.configure(apps).await;
        // The apps are published; only now can anybody ask for them.
        let socket = socket.listen()?;
        let api = Api::new(driver.inbox(), events, reload);
        let swaps = driver.swaps();
        tokio::spawn(driver.run(messages, signals));
        tokio::spawn(server::serve(socket, users, api.clone()));
        Ok(Handle { api, swaps })
    }
}

impl Handle {
    /// Tells whoever listens that the daemon accepts traffic.
    pub fn ready(&self) {
        self.api.tell_ready();
    }

    /// Reads the configuration anew, as `swapctl reload` does; says what changed, or what is wrong.
    ///
    /// # Errors
    ///
    /// In words, if the configuration is not sound; then nothing has changed.
    pub async fn reload(&self, by: &str) -> Result<String, String> {
        self.api.reload(by).await.map_err(|problem| problem.detail)
    }

    /// For the metrics.
    pub fn swaps(&self) -> Swaps {
        self.swaps.clone()
    }
}
