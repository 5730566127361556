//! The API: from a request to the driver and back. Paths and fields are CONTRACT's.

mod canary;
mod commands;
mod experiment;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod read;
mod routes;
mod stream;
mod upgrade;

use std::sync::Arc;

use http::header::{ACCEPT, HeaderMap};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use swap_core::{AppName, Event, OperationId};
use tokio::sync::{Mutex, Semaphore, oneshot};

use crate::driver::{Command, Commanded, Conditions, Inbox, Message};
use crate::events::Events;
use crate::operations::State;
use crate::problem::{self, problem};
use crate::server::{Answer, of_json, of_problem};
use crate::socket::Listening;
use crate::standing::Standing;
use crate::succession::UpgradeHook;
use crate::wire::{Begun, CommandEnd, Operation, PlanRequest, Problem, Said, UpgradeRequest, What};
use read::{body, conditions, is_true, parameters};
use routes::{Route, Verb};
use stream::{Runner, Watched};

/// Reads the configuration anew; says what changed, or what is wrong.
pub type ReloadHook = Arc<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// What the daemon does for the API.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) reload: ReloadHook,
    /// None: this API has no process of its own.
    pub(crate) upgrade: Option<Arc<Replacing>>,
}

/// How the daemon's program is replaced.
pub(crate) struct Replacing {
    pub(crate) hook: UpgradeHook,
    pub(crate) socket: Arc<Listening>,
}

/// A configuration that the data plane has taken over.
#[derive(Debug)]
pub struct Reloaded {
    /// The apps as they are now.
    pub apps: std::collections::BTreeMap<AppName, holdfast_config::App>,
    /// What changed, a line each.
    pub diff: String,
}

/// The paths, as `routes` has them, for whoever asks.
const OPENAPI: &str = include_str!("api/openapi.json");

/// What an answer needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    inbox: Inbox,
    events: Events,
    hooks: Hooks,
    standing: Standing,
    /// One at a time, so that the data plane and the driver take over configurations in the same order.
    reloading: Arc<Mutex<()>>,
    /// Places for streams.
    streams: Arc<Semaphore>,
}

pub(crate) async fn answer(api: Api, request: Request<Incoming>, uid: u32) -> Answer {
    let route = routes::find(request.method(), request.uri().path());
    match route {
        Ok(route) => {
            let result = api.answer(route, request, uid).await;
            result.unwrap_or_else(|problem| of_problem(&problem))
        }
        Err(nowhere) => nowhere.answer(),
    }
}

impl Api {
    pub(crate) fn new(inbox: Inbox, events: Events, hooks: Hooks, standing: Standing) -> Self {
        Self {
            inbox,
            events,
            hooks,
            standing,
            reloading: Arc::default(),
            streams: Arc::new(Semaphore::new(stream::PLACES)),
        }
    }

    pub(crate) fn tell_ready(&self) {
        self.events.tell(None, None, What::Ready);
    }

    async fn answer(
        self,
        route: Route,
        request: Request<Incoming>,
        uid: u32,
    ) -> Result<Answer, Problem> {
        let by = format!("uid {uid}");
        match route {
            Route::Status => self.status().await,
            Route::Version => Ok(version()),
            Route::OpenApi => Ok(openapi()),
            Route::History => self.history(request.uri().query()).await,
            Route::Receipt => self.last_receipt(request.uri().query()).await,
            Route::Events => self.stream(&request).await,
            Route::Operation(id) => self.operation(&id, request.uri().query()).await,
            Route::CommandEnded(id) => self.command_ended(&id, body(request).await?, by).await,
            Route::Reload => {
                let _: read::Nothing = body(request).await?;
                let done = self.reload(&by).await?;
                Ok(of_json(StatusCode::OK, &Said { done }))
            }
            Route::Upgrade => {
                let ask: UpgradeRequest = body(request).await?;
                let binary = upgrade::allowed(ask.binary, uid)?;
                let upgraded = if ask.wait {
                    self.upgrade_when_still(binary, by).await?
                } else {
                    self.upgrade(binary, by).await?
                };
                Ok(of_json(StatusCode::OK, &upgraded))
            }
            Route::App(app, verb) => self.command(&app, verb, request, uid).await,
        }
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .send(message(reply))
            .await
            .map_err(|_| problem::stopped())?;
        answer.await.map_err(|_| problem::stopped())
    }

    async fn status(&self) -> Result<Answer, Problem> {
        Ok(of_json(StatusCode::OK, &self.ask(Message::Status).await?))
    }

    async fn history(&self, query: Option<&str>) -> Result<Answer, Problem> {
        let query = parameters(query, &["app", "limit"])?;
        let limit = match query.get("limit") {
            Some(text) => text
                .parse()
                .map_err(|_| problem::usage(format!("limit={text} is not a whole number")))?,
            None => 20,
        };
        let app = match query.get("app") {
            Some(app) => Some(self.app(app).await?),
            None => None,
        };
        let message = |reply| Message::History { app, limit, reply };
        Ok(of_json(StatusCode::OK, &self.ask(message).await?))
    }

    async fn last_receipt(&self, query: Option<&str>) -> Result<Answer, Problem> {
        let app = match parameters(query, &["app"])?.get("app") {
            Some(app) => Some(self.app(app).await?),
            None => None,
        };
        let message = |reply| Message::History {
            app,
            limit: 1,
            reply,
        };
        let receipt = self.ask(message).await?.pop();
        let none = || {
            problem(
                404,
                "unknown_operation",
                "no such operation",
                "no operation has ended yet",
            )
        };
        Ok(of_json(StatusCode::OK, &receipt.ok_or_else(none)?))
    }

    async fn operation(&self, id: &str, query: Option<&str>) -> Result<Answer, Problem> {
        let waits = is_true(&parameters(query, &["wait"])?, "wait")?;
        let (_, mut state) = self.known_operation(id).await?;
        if waits {
            let _ = state.wait_for(has_ended).await;
        }
        let now = state.borrow().clone();
        Ok(of_json(StatusCode::OK, &now))
    }

    async fn known_operation(&self, id: &str) -> Result<(OperationId, State), Problem> {
        let unknown = || problem::unknown_operation(id);
        let operation: OperationId = id.parse().map_err(|_| unknown())?;
        let asked = operation.clone();
        let state = self.ask(|reply| Message::Operation(asked, reply)).await?;
        Ok((operation, state.ok_or_else(unknown)?))
    }

    async fn command_ended(
        &self,
        id: &str,
        end: CommandEnd,
        by: String,
    ) -> Result<Answer, Problem> {
        let operation: OperationId = id.parse().map_err(|_| problem::unknown_operation(id))?;
        let CommandEnd { ok, why } = end;
        let result = if ok {
            Ok(())
        } else {
            let why = read::words("why", why)?;
            Err(why.unwrap_or_else(|| "the command failed".to_owned()))
        };
        self.ask(|reply| Message::CommandEnded {
            operation,
            result,
            by: Some(by),
            reply,
        })
        .await??;
        let done = "noted".to_owned();
        Ok(of_json(StatusCode::OK, &Said { done }))
    }

    /// Reads the configuration anew, all or nothing; says what changed.
    pub(crate) async fn reload(&self, by: &str) -> Result<String, Problem> {
        let _alone = self.reloading.lock().await;
        self.standing.commands().await?;
        let hook = self.hooks.reload.clone();
        let read = tokio::task::spawn_blocking(move || hook()).await;
        let title = "the configuration is not sound; nothing was changed";
        let wrong = |why: String| problem(400, "configuration", title, why);
        let Reloaded { apps, diff } = read
            .map_err(|error| wrong(error.to_string()))?
            .map_err(wrong)?;
        self.ask(|reply| Message::Configure(apps, reply)).await?;
        let (verb, by) = ("reload".to_owned(), by.to_owned());
        self.events.tell(
            None,
            None,
            What::Command {
                verb,
                by,
                said: diff.clone(),
            },
        );
        Ok(diff)
    }

    /// The app of this name; `-` is the only one.
    async fn app(&self, name: &str) -> Result<AppName, Problem> {
        let known = self.ask(Message::Apps).await?;
        let names: Vec<&str> = known.iter().map(AppName::as_str).collect();
        match (name, known.as_slice()) {
            ("-", [only]) => Ok(only.clone()),
            ("-", _) => {
                let detail = format!("there are several apps, name one: {}", names.join(", "));
                Err(problem::usage(detail))
            }
            (name, _) => {
                let found = known.iter().find(|app| app.as_str() == name).cloned();
                found.ok_or_else(|| problem::unknown_app(name, names.iter().copied()))
            }
        }
    }

    async fn command(
        &self,
        app: &str,
        verb: Verb,
        request: Request<Incoming>,
        uid: u32,
    ) -> Result<Answer, Problem> {
        let app = self.app(app).await?;
        let to = Addressed {
            app,
            verb: verb.word(),
            conditions: conditions(request.headers())?,
            by: format!("uid {uid}"),
            uid,
        };
        let streams = wants_stream(request.headers());
        match verb {
            Verb::Plan => self.plan(to.app, body(request).await?).await,
            Verb::Promote => {
                let ask = body(request).await?;
                let canary = self.canary(&ask, &to).await?;
                let ask = commands::promote(ask, canary, &to).await?;
                let how = How::new(ask.detach, streams, ask.command);
                self.begin(to, ask.event, how).await
            }
            Verb::Rollback => {
                let ask = commands::rollback(body(request).await?, &to)?;
                let how = How::new(ask.detach, streams, false);
                self.begin(to, ask.event, how).await
            }
            Verb::Stage => {
                let event = commands::stage(body(request).await?, &to).await?;
                self.begin(to, event, How::new(false, streams, false)).await
            }
            Verb::Hold => {
                let event = commands::hold(body(request).await?, &to)?;
                self.begin(to, event, How::new(false, streams, false)).await
            }
            Verb::Unstage => {
                let event = commands::unstage(body(request).await?)?;
                self.do_now(to, event).await
            }
            Verb::Block => {
                let event = commands::block(body(request).await?, &to)?;
                self.do_now(to, event).await
            }
            Verb::ExperimentStart => {
                let event = experiment::start(body(request).await?, &to)?;
                self.do_now(to, event).await
            }
            Verb::ExperimentClose => {
                let ask = experiment::close(body(request).await?, &to)?;
                let how = How::new(ask.detach, streams, false);
                self.begin(to, ask.event, how).await
            }
            Verb::Resume => self.bare(to, Event::Resume, request).await,
            Verb::Pause => {
                let by = to.by.clone();
                self.bare(to, Event::Pause { by }, request).await
            }
            Verb::Advance => {
                let by = to.by.clone();
                self.bare(to, Event::Advance { by }, request).await
            }
            Verb::Abort => self.bare(to, Event::Abort, request).await,
            Verb::Unblock => self.bare(to, Event::Unblock, request).await,
        }
    }

    /// A verb without fields.
    async fn bare(
        &self,
        to: Addressed,
        event: Event,
        request: Request<Incoming>,
    ) -> Result<Answer, Problem> {
        let _: read::Nothing = body(request).await?;
        self.do_now(to, event).await
    }

    async fn plan(&self, app: AppName, ask: PlanRequest) -> Result<Answer, Problem> {
        let boot = read::duration("boot", ask.boot.as_deref())?;
        let plan = self
            .ask(|reply| Message::Plan { app, boot, reply })
            .await??;
        Ok(of_json(StatusCode::OK, &plan))
    }

    /// Something that is done when this returns.
    async fn do_now(&self, to: Addressed, event: Event) -> Result<Answer, Problem> {
        match self.send(to, event).await? {
            Commanded::Done(done) => Ok(of_json(StatusCode::OK, &Said { done })),
            Commanded::Begun(operation, _) | Commanded::Known(operation, _) => {
                Ok(of_json(StatusCode::ACCEPTED, &Begun { operation }))
            }
        }
    }

    async fn send(&self, to: Addressed, event: Event) -> Result<Commanded, Problem> {
        let Addressed {
            app,
            verb,
            conditions,
            by,
            uid: _,
        } = to;
        self.standing.commands().await?;
        let command = Command {
            app,
            event,
            verb,
            by,
            conditions,
        };
        self.ask(|reply| Message::Command(command, reply)).await?
    }

    /// Something that takes its time.
    async fn begin(&self, to: Addressed, event: Event, how: How) -> Result<Answer, Problem> {
        // Before the command, so that nothing has begun if there is no place, and no event of it is missed.
        let (place, subscription) = match how {
            How::Waits | How::Detached => (None, None),
            How::Streams | How::RunsCommand => (Some(self.place()?), Some(self.events.subscribe())),
        };
        let (operation, mut state, is_new) = match self.send(to, event).await? {
            Commanded::Begun(operation, state) => (operation, state, true),
            Commanded::Known(operation, state) => (operation, state, false),
            Commanded::Done(done) => return Ok(of_json(StatusCode::OK, &Said { done })),
        };
        if let (Some(place), Some(subscription)) = (place, subscription) {
            let runner = match (how, is_new) {
                (How::RunsCommand, true) => Runner::Reader(self.inbox.clone()),
                // Whoever began it runs its COMMAND.
                (How::RunsCommand, false) => Runner::Another,
                (How::Waits | How::Detached | How::Streams, _) => Runner::Nobody,
            };
            let watched = Watched::new(operation, state, runner);
            return Ok(stream::open(place, subscription, Some(watched)));
        }
        if let How::Detached = how {
            return Ok(of_json(StatusCode::ACCEPTED, &Begun { operation }));
        }
        let end = state.wait_for(has_ended).await;
        match end.map_err(|_| problem::stopped())?.clone() {
            Operation::Ended { receipt } => Ok(of_json(StatusCode::OK, &receipt)),
            Operation::Running { .. } => Err(problem::stopped()),
        }
    }
}

/// A command on its way: for which app, from whom, on what conditions.
struct Addressed {
    app: AppName,
    verb: &'static str,
    conditions: Conditions,
    by: String,
    uid: u32,
}

/// How an operation is answered.
#[derive(Clone, Copy)]
enum How {
    /// With its receipt, at its end.
    Waits,
    /// At once.
    Detached,
    /// With its events.
    Streams,
    /// With its events, among them the one that tells the reader to run the COMMAND.
    RunsCommand,
}

impl How {
    fn new(detached: bool, streams: bool, runs_command: bool) -> Self {
        match (runs_command, detached, streams) {
            (true, _, _) => Self::RunsCommand,
            (false, true, _) => Self::Detached,
            (false, false, true) => Self::Streams,
            (false, false, false) => Self::Waits,
        }
    }
}

fn has_ended(state: &Operation) -> bool {
    matches!(state, Operation::Ended { .. })
}

fn wants_stream(fields: &HeaderMap) -> bool {
    let accept = fields.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn version() -> Answer {
    of_json(
        StatusCode::OK,
        &serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }),
    )
}

fn openapi() -> Answer {
    let value: serde_json::Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    of_json(StatusCode::OK, &value)
}
