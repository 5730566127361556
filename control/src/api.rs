//! The API: from a request to the driver and back. Paths and fields are CONTRACT's.

mod commands;
mod read;
mod stream;

use std::sync::Arc;

use http::header::{ACCEPT, HeaderMap};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use swap_core::{AppName, Event, OperationId};
use tokio::sync::oneshot;

use crate::driver::{Commanded, Inbox, Message};
use crate::events::Events;
use crate::problem::{self, problem};
use crate::server::{Answer, of_json, of_problem};
use crate::wire::{Begun, Operation, Problem, Said, What};
use read::{body, conditions, parameter};

/// Reads the configuration anew; says what changed, or what is wrong.
pub type ReloadHook = Arc<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// A configuration that the data plane has taken over.
#[derive(Debug)]
pub struct Reloaded {
    /// The apps as they are now.
    pub apps: std::collections::BTreeMap<AppName, holdfast_config::App>,
    /// What changed, a line each.
    pub diff: String,
}

/// What an answer needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) inbox: Inbox,
    pub(crate) events: Events,
    pub(crate) reload: ReloadHook,
}

/// The routes, as `openapi.json` tells them.
const OPENAPI: &str = include_str!("api/openapi.json");

pub(crate) async fn answer(api: Api, request: Request<Incoming>, uid: u32) -> Answer {
    let result = api.route(request, uid).await;
    result.unwrap_or_else(|problem| of_problem(&problem))
}

impl Api {
    async fn route(self, request: Request<Incoming>, uid: u32) -> Result<Answer, Problem> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let method = request.method().clone();
        match (&method, parts.as_slice()) {
            (&Method::GET, ["v1", "status"]) => self.status().await,
            (&Method::GET, ["v1", "version"]) => Ok(version()),
            (&Method::GET, ["v1", "openapi.json"]) => Ok(openapi()),
            (&Method::GET, ["v1", "history"]) => self.history(request.uri().query()).await,
            (&Method::GET, ["v1", "receipt"]) => self.last_receipt(request.uri().query()).await,
            (&Method::GET, ["v1", "events"]) => self.stream(&request),
            (&Method::GET, ["v1", "operations", id]) => {
                self.operation(id, request.uri().query()).await
            }
            (&Method::POST, ["v1", "operations", id, "command"]) => {
                self.command_ended(id, body(request).await?).await
            }
            (&Method::POST, ["v1", "reload"]) => {
                let done = self.reload(&format!("uid {uid}")).await?;
                Ok(of_json(StatusCode::OK, &Said { done }))
            }
            (&Method::POST, ["v1", "apps", app, verb]) => {
                self.command(app, verb, request, format!("uid {uid}")).await
            }
            _ => Err(no_such(&method, &path)),
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
            .map_err(|_| problem::stopping())?;
        answer.await.map_err(|_| problem::stopping())
    }

    async fn status(&self) -> Result<Answer, Problem> {
        Ok(of_json(StatusCode::OK, &self.ask(Message::Status).await?))
    }

    async fn history(&self, query: Option<&str>) -> Result<Answer, Problem> {
        let limit = match parameter(query, "limit") {
            Some(text) => text
                .parse()
                .map_err(|_| problem::usage(format!("limit={text} is not a whole number")))?,
            None => 20,
        };
        let app = match parameter(query, "app") {
            Some(app) => Some(self.app(app).await?),
            None => None,
        };
        let message = |reply| Message::History { app, limit, reply };
        Ok(of_json(StatusCode::OK, &self.ask(message).await?))
    }

    async fn last_receipt(&self, query: Option<&str>) -> Result<Answer, Problem> {
        let app = match parameter(query, "app") {
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
        let unknown = || problem::unknown_operation(id);
        let operation: OperationId = id.parse().map_err(|_| unknown())?;
        let state = self
            .ask(|reply| Message::Operation(operation, reply))
            .await?;
        let mut state = state.ok_or_else(unknown)?;
        if parameter(query, "wait") == Some("true") {
            let ended = |state: &Operation| matches!(state, Operation::Ended { .. });
            let _ = state.wait_for(ended).await;
        }
        let now = state.borrow().clone();
        Ok(of_json(StatusCode::OK, &now))
    }

    async fn command_ended(
        &self,
        id: &str,
        end: crate::wire::CommandEnd,
    ) -> Result<Answer, Problem> {
        let operation: OperationId = id.parse().map_err(|_| problem::unknown_operation(id))?;
        let result = if end.ok {
            Ok(())
        } else {
            Err(end.why.unwrap_or_else(|| "the command failed".to_owned()))
        };
        self.ask(|reply| Message::CommandEnded {
            operation,
            result,
            reply,
        })
        .await??;
        Ok(of_json(
            StatusCode::OK,
            &Said {
                done: "noted".into(),
            },
        ))
    }

    /// Reads the configuration anew, all or nothing; says what changed.
    pub(crate) async fn reload(&self, by: &str) -> Result<String, Problem> {
        let hook = self.reload.clone();
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
                found.ok_or_else(|| problem::unknown_app(name, &names))
            }
        }
    }

    async fn command(
        &self,
        app: &str,
        verb: &str,
        request: Request<Incoming>,
        by: String,
    ) -> Result<Answer, Problem> {
        let app = self.app(app).await?;
        let fields = request.headers().clone();
        let conditions = conditions(&fields)?;
        match verb {
            "plan" => self.plan(app, body(request).await?).await,
            "promote" => {
                let ask = commands::promote(body(request).await?, conditions, by).await?;
                let how = How {
                    verb: "promote",
                    detach: ask.detach,
                    stream: ask.command,
                };
                self.begin(app, ask.event, how, &fields).await
            }
            "stage" => {
                let event = commands::stage(body(request).await?, conditions, by).await?;
                self.begin(app, event, How::waiting("stage"), &fields).await
            }
            "hold" => {
                let event = commands::hold(body(request).await?, conditions, by)?;
                self.begin(app, event, How::waiting("hold"), &fields).await
            }
            "rollback" => {
                let ask = commands::rollback(body(request).await?, conditions, by);
                let how = How {
                    verb: "rollback",
                    detach: ask.detach,
                    stream: false,
                };
                self.begin(app, ask.event, how, &fields).await
            }
            "unstage" => {
                let event = commands::unstage(body(request).await?)?;
                self.do_now(app, event, "unstage", by).await
            }
            "block" => {
                let event = commands::block(body(request).await?, by.clone())?;
                self.do_now(app, event, "block", by).await
            }
            "resume" => self.bare(app, Event::Resume, "resume", request, by).await,
            "abort" => self.bare(app, Event::Abort, "abort", request, by).await,
            "unblock" => self.bare(app, Event::Unblock, "unblock", request, by).await,
            _ => Err(no_such(&Method::POST, request.uri().path())),
        }
    }

    /// A verb without fields.
    async fn bare(
        &self,
        app: AppName,
        event: Event,
        verb: &'static str,
        request: Request<Incoming>,
        by: String,
    ) -> Result<Answer, Problem> {
        let _: read::Nothing = body(request).await?;
        self.do_now(app, event, verb, by).await
    }

    async fn plan(&self, app: AppName, ask: crate::wire::PlanRequest) -> Result<Answer, Problem> {
        let boot = read::duration("boot", ask.boot.as_deref())?;
        let plan = self
            .ask(|reply| Message::Plan { app, boot, reply })
            .await??;
        Ok(of_json(StatusCode::OK, &plan))
    }

    /// Something that is done when this returns.
    async fn do_now(
        &self,
        app: AppName,
        event: Event,
        verb: &'static str,
        by: String,
    ) -> Result<Answer, Problem> {
        match self.send(app, event, verb, by).await? {
            Commanded::Done(done) => Ok(of_json(StatusCode::OK, &Said { done })),
            Commanded::Operation(operation, _) => {
                Ok(of_json(StatusCode::ACCEPTED, &Begun { operation }))
            }
        }
    }

    async fn send(
        &self,
        app: AppName,
        event: Event,
        verb: &'static str,
        by: String,
    ) -> Result<Commanded, Problem> {
        self.ask(|reply| Message::Command {
            app,
            event,
            verb,
            by,
            reply,
        })
        .await?
    }

    /// Something that takes its time: answered at its end, at once, or as a stream.
    async fn begin(
        &self,
        app: AppName,
        event: Event,
        how: How,
        fields: &HeaderMap,
    ) -> Result<Answer, Problem> {
        // Before the command, so that no event of it is missed.
        let subscription = self.events.subscribe(None);
        let (operation, mut state) = match self.send(app, event, how.verb, String::new()).await? {
            Commanded::Operation(operation, state) => (operation, state),
            Commanded::Done(done) => return Ok(of_json(StatusCode::OK, &Said { done })),
        };
        if how.stream {
            return Ok(stream::of_command(
                self.clone(),
                operation,
                state,
                subscription,
            ));
        }
        if how.detach {
            return Ok(of_json(StatusCode::ACCEPTED, &Begun { operation }));
        }
        if wants_stream(fields) {
            return Ok(stream::of_operation(operation, state, subscription));
        }
        let ended = |state: &Operation| matches!(state, Operation::Ended { .. });
        let end = state
            .wait_for(ended)
            .await
            .map_err(|_| problem::stopping())?
            .clone();
        match end {
            Operation::Ended { receipt } => Ok(of_json(StatusCode::OK, &receipt)),
            Operation::Running { .. } => Err(problem::stopping()),
        }
    }

    fn stream(&self, request: &Request<Incoming>) -> Result<Answer, Problem> {
        let last = request.headers().get("last-event-id");
        let after = match last.map(|value| value.to_str().ok().and_then(|id| id.parse().ok())) {
            Some(None) => return Err(problem::usage("Last-Event-ID is not a whole number")),
            Some(after) => after,
            None => None,
        };
        let operation = match parameter(request.uri().query(), "operation") {
            Some(id) => Some(id.parse().map_err(|_| problem::unknown_operation(id))?),
            None => None,
        };
        // Who asks for an operation may be late: its events that are kept are told. So they are to who asks for them.
        let past = operation.is_some() || parameter(request.uri().query(), "past") == Some("true");
        let after = after.or(past.then_some(0));
        Ok(stream::of_events(operation, self.events.subscribe(after)))
    }
}

/// How an operation is answered.
struct How {
    verb: &'static str,
    detach: bool,
    stream: bool,
}

impl How {
    fn waiting(verb: &'static str) -> Self {
        Self {
            verb,
            detach: false,
            stream: false,
        }
    }
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

fn no_such(method: &Method, path: &str) -> Problem {
    let detail = format!("{method} {path}: see GET /v1/openapi.json");
    problem(404, "unknown_path", "no such path or verb", detail)
}
