//! One run of swapctl: from what was typed to the exit code, and what the verbs share on the way.

use holdfast_control::client::Client;
use holdfast_control::paths;
use holdfast_control::wire::Said;
use serde::Serialize;
use serde::de::DeserializeOwned;
use swap_core::AppName;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::words;

/// What a verb works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) output: Output,
}

/// How a verb ends.
pub(crate) type Ended = Result<Exit, Failure>;

/// Does what was typed.
pub(crate) fn run(typed: Cli) -> Exit {
    let output = Output::new(typed.json);
    let app = typed.verb.app().cloned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(act(typed, output)),
        Err(error) => Err(Failure::System(error)),
    };
    ended.unwrap_or_else(|failure| {
        output.failure(&failure, app.as_ref());
        failure.exit()
    })
}

async fn act(typed: Cli, output: Output) -> Ended {
    let verb = match typed.verb {
        // The only one that needs no daemon.
        Verb::Completions(completions) => return completions.run(output),
        verb => verb,
    };
    let socket = paths::control_socket_to_ask(typed.control.as_deref());
    let session = Session {
        client: Client::new(socket.ok_or(Failure::NoSocket)?),
        output,
    };
    verb.run(&session).await
}

impl Session {
    /// Looks at something.
    pub(crate) async fn look<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.client.get(path).await.map_err(Failure::Look)
    }

    /// Commands something that is done when it is answered, and says what was done.
    pub(crate) async fn command(&self, path: &str, body: &impl Serialize) -> Ended {
        let said: Said = self
            .client
            .post(path, body)
            .await
            .map_err(Failure::Command)?;
        self.output.result(&said, &words::plain(&said.done))?;
        Ok(Exit::Done)
    }
}

impl Verb {
    async fn run(self, session: &Session) -> Ended {
        match self {
            Self::Status(verb) => verb.run(session).await,
            Self::Promote(verb) => verb.run(session).await,
            Self::Stage(verb) => verb.run(session).await,
            Self::Unstage(verb) => verb.run(session).await,
            Self::Hold(verb) => verb.run(session).await,
            Self::Resume(verb) => verb.run(session).await,
            Self::Rollback(verb) => verb.run(session).await,
            Self::Abort(verb) => verb.run(session).await,
            Self::Pause(verb) => verb.run(session).await,
            Self::Advance(verb) => verb.run(session).await,
            Self::Experiment(verb) => verb.run(session).await,
            Self::Block(verb) => verb.run(session).await,
            Self::Unblock(verb) => verb.run(session).await,
            Self::History(verb) => verb.run(session).await,
            Self::Receipt(verb) => verb.run(session).await,
            Self::Events(verb) => verb.run(session).await,
            Self::Plan(verb) => verb.run(session).await,
            Self::Reload(verb) => verb.run(session).await,
            Self::Upgrade(verb) => verb.run(session).await,
            Self::Completions(verb) => verb.run(session.output),
            Self::Version(verb) => verb.run(session).await,
        }
    }

    /// The app that was typed, so that hints can name it.
    fn app(&self) -> Option<&AppName> {
        let app = match self {
            Self::Status(verb) => &verb.app,
            Self::Promote(verb) => &verb.app,
            Self::Stage(verb) => &verb.app,
            Self::Unstage(verb) => &verb.app,
            Self::Hold(verb) => &verb.app,
            Self::Resume(verb) => &verb.app,
            Self::Rollback(verb) => &verb.app,
            Self::Abort(verb) => &verb.app,
            Self::Pause(verb) => &verb.app,
            Self::Advance(verb) => &verb.app,
            Self::Experiment(verb) => return verb.app(),
            Self::Block(verb) => &verb.app,
            Self::Unblock(verb) => &verb.app,
            Self::History(verb) => &verb.app,
            Self::Plan(verb) => &verb.app,
            Self::Receipt(_)
            | Self::Events(_)
            | Self::Reload(_)
            | Self::Upgrade(_)
            | Self::Completions(_)
            | Self::Version(_) => return None,
        };
        app.typed()
    }
}
