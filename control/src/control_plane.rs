//! The control plane as the daemon starts it: first everything that can be refused is opened, then the apps are
//! published as the journal knew them, and only then does the socket answer.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use swap_core::AppName;

use crate::accepting::Accepting;
use crate::api::{Api, Hooks, ReloadHook, Replacing};
use crate::driver::Driver;
use crate::events::Events;
use crate::journal::{History, Journal, JournalError};
use crate::plane::{DataPlane, Mishaps, Signals};
use crate::server::{self, Places};
use crate::socket::{ControlSocket, SocketError};
use crate::standing::Standing;
use crate::succession::{Belongings, UpgradeHook};
use crate::swaps::Swaps;
use crate::users::{UnknownUser, Users};
use crate::wire::Upgraded;

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
    /// Replaces the program.
    pub upgrade: UpgradeHook,
    /// Whether connects are accepted.
    pub accepting: Accepting,
    /// From the process before this one.
    pub inherited: Option<Belongings>,
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
    /// Another process has its journal elsewhere.
    #[error("the state directory is {} now and was {}: restart the daemon for that", to.display(), from.display())]
    Moved {
        /// Where it was.
        from: PathBuf,
        /// Where it is to be.
        to: PathBuf,
    },
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
    upgrade: UpgradeHook,
    accepting: Accepting,
    mishaps: Option<Mishaps>,
    is_heir: bool,
}

/// A control plane that serves.
#[derive(Clone)]
pub struct Handle {
    api: Api,
    swaps: Swaps,
    places: Places,
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
            upgrade,
            accepting,
            inherited,
        } = options;
        let users = Users::new(&users)?;
        let is_heir = inherited.is_some();
        let (lock, listener) = shares(inherited, &state_dir, &socket)?;
        let (journal, history) = Journal::open(&state_dir, lock)?;
        let socket = match listener {
            Some(listener) => ControlSocket::inherit(&socket, listener)?,
            None => ControlSocket::bind(&socket, mode)?,
        };
        Ok(Self {
            journal,
            history,
            socket,
            users,
            reload,
            upgrade,
            accepting,
            mishaps: None,
            is_heir,
        })
    }

    /// Tells as events what the data plane says of errors of releases beside the live one.
    #[must_use]
    pub fn telling(self, mishaps: Mishaps) -> Self {
        Self {
            mishaps: Some(mishaps),
            ..self
        }
    }

    /// Publishes the apps and begins to serve, on the runtime that calls it. `plane` knows their settings already. After
    /// another process no command is taken before [`Handle::alone`].
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
            upgrade,
            accepting,
            mishaps,
            is_heir,
        } = self;
        let events = Events::new();
        if let Some(mishaps) = mishaps {
            tokio::spawn(crate::mishaps::tell(mishaps, events.clone()));
        }
        let (mut driver, messages) = Driver::new(plane, journal, history, events.clone());
        Box::pin(driver.configure(apps)).await;
        // The apps are published; only now can anybody ask for them.
        let socket = Arc::new(socket.listen()?);
        let standing = Standing::new(is_heir);
        let replacing = Replacing {
            hook: upgrade,
            socket: socket.clone(),
        };
        let hooks = Hooks {
            reload,
            upgrade: Some(Arc::new(replacing)),
        };
        let api = Api::new(driver.inbox(), events, hooks, standing);
        let swaps = driver.swaps();
        let places = Places::new();
        tokio::spawn(driver.run(messages, signals));
        let serving = server::serve(socket, users, api.clone(), places.clone(), accepting);
        tokio::spawn(serving);
        Ok(Handle { api, swaps, places })
    }
}

/// What of another process's belongings is ours too. The socket may be elsewhere now; what the journal knows may not be lost.
fn shares(
    inherited: Option<Belongings>,
    state_dir: &Path,
    socket: &Path,
) -> Result<(Option<OwnedFd>, Option<OwnedFd>), OpenError> {
    let Some(theirs) = inherited else {
        return Ok((None, None));
    };
    if theirs.state_dir != state_dir {
        return Err(OpenError::Moved {
            from: theirs.state_dir,
            to: state_dir.to_owned(),
        });
    }
    let listener = (theirs.socket == socket).then_some(theirs.listener);
    Ok((Some(theirs.lock), listener))
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

    /// Replaces the program, as `swapctl upgrade` does.
    ///
    /// # Errors
    ///
    /// In words, if it was not replaced; then this process serves as before.
    pub async fn upgrade(&self, by: &str) -> Result<Upgraded, String> {
        let upgraded = self.api.upgrade(None, by.to_owned()).await;
        upgraded.map_err(|problem| problem.detail)
    }

    /// The process before this one has ended: commands are taken.
    pub fn alone(&self) {
        self.api.alone();
    }

    /// The control socket's file belongs to another process now.
    pub fn give_away(&self) {
        self.api.give_away();
    }

    /// Returns when nobody is connected to the control socket.
    pub async fn left(&self) {
        self.places.empty().await;
    }

    /// For the metrics.
    pub fn swaps(&self) -> Swaps {
        self.swaps.clone()
    }
}
