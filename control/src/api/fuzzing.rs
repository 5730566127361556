//! What must hold of every word on the control socket. The driver is a stand-in that knows two apps and looks at what
//! gets through to it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a panic is how a check fails"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use serde::Serialize;
use serde::de::DeserializeOwned;
use swap_core::{AppName, CanaryPlan, Event, Share, Strategy};
use tokio::sync::{mpsc, watch};

use super::{Api, Hooks, Reloaded, answer};
use crate::driver::{Command, Commanded, Message};
use crate::events::Events;
use crate::fuzzing::by_hand::{self, Octets};
use crate::problem;
use crate::server;
use crate::standing::Standing;
use crate::wire::{
    self, BlockRequest, CloseExperimentRequest, CommandEnd, HoldRequest, Operation, PlanRequest,
    Problem, PromoteRequest, RollbackRequest, StageRequest, StartExperimentRequest, Status,
    UnstageRequest,
};

const UID: u32 = 1000;
const WORDS_MAX: usize = 1024;

/// Each request has an answer that is sound: what was asked for, or a problem object. What gets through to the driver
/// is within its bounds.
pub fn control(octets: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    // Timers need one; none ever runs out.
    let _entered = runtime.enter();
    let (inbox, messages) = mpsc::channel(16);
    let hooks = Hooks {
        reload: Arc::new(|| -> Result<Reloaded, String> { Err("not now".to_owned()) }),
        upgrade: None,
    };
    let api = Api::new(inbox, Events::new(), hooks, Standing::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        let answering = answer(api.clone(), request, UID);
        async move { Ok::<_, Infallible>(sound(answering.await).await) }
    });
    let client = Octets::then_end(octets, octets.len() / 3 + 1);
    let serving = server::rules().serve_connection(client, service);
    by_hand::run(async {
        tokio::select! {
            _ = serving => {}
            () = drive(messages) => {}
        }
    });
    let bodies = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let body = bodies.map_or(octets, |end| &octets[end + 4..]);
    must_be_the_same_at_both_ends(body);
}

/// The answer, if it is as every answer must be.
async fn sound(answer: server::Answer) -> Response<Full<Bytes>> {
    let (head, body) = answer.into_parts();
    let kind = head.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
    if kind == "text/event-stream" {
        assert_eq!(head.status, 200);
        return Response::from_parts(head, Full::default());
    }
    let octets = body.collect().await.unwrap().to_bytes();
    assert!(octets.ends_with(b"\n"));
    if head.status.is_success() {
        assert_eq!(kind, "application/json");
        let _: serde_json::Value = serde_json::from_slice(&octets).expect("JSON");
    } else {
        assert_eq!(kind, "application/problem+json");
        let problem: Problem = serde_json::from_slice(&octets).expect("a problem object");
        assert_eq!(problem.status, head.status.as_u16());
        assert!(
            head.status.is_client_error() || head.status == 503,
            "{problem:?}"
        );
        assert!(!problem.code.is_empty() && !problem.title.is_empty());
        assert!(!problem.detail.is_empty(), "{problem:?}");
    }
    Response::from_parts(head, Full::new(octets))
}

/// Answers as a driver does.
async fn drive(mut messages: mpsc::Receiver<Message>) {
    let names = ["web", "api"].map(|name| name.parse::<AppName>().unwrap());
    while let Some(message) = messages.recv().await {
        match message {
            Message::Apps(reply) => drop(reply.send(names.to_vec())),
            Message::Command(command, reply) => drop(reply.send(take(command))),
            Message::CommandEnded {
                result, by, reply, ..
            } => {
                assert!(result.is_ok() || result.is_err_and(|why| why.len() <= WORDS_MAX));
                assert_eq!(by, Some(format!("uid {UID}")));
                let _ = reply.send(Ok(()));
            }
            Message::Status(reply) => drop(reply.send(Status {
                version: "0".to_owned(),
                pid: 1,
                uptime_s: 0,
                generation: 0,
                apps: BTreeMap::new(),
            })),
            Message::Plan { app, reply, .. } => {
                let _ = reply.send(Err(problem::usage(format!("no plan for {app}"))));
            }
            Message::History { app, reply, .. } => {
                assert!(app.is_none_or(|app| names.contains(&app)));
                let _ = reply.send(Vec::new());
            }
            Message::Operation(id, reply) => {
                let app = names[0].clone();
                let phase = "booting".to_owned();
                let running = Operation::Running {
                    operation: id,
                    app,
                    phase,
                };
                let _ = reply.send(Some(watch::channel(running).1));
            }
            Message::Canary(app, reply) => {
                assert!(names.contains(&app));
                let _ = reply.send(Some(holdfast_config::Canary::default()));
            }
            Message::Lend(..)
            | Message::Still(..)
            | Message::TakeBack(..)
            | Message::Configure(..)
            | Message::Observed { .. }
            | Message::Passed { .. } => {
                panic!("no request says that");
            }
        }
    }
}

fn take(command: Command) -> Result<Commanded, Problem> {
    let Command {
        event, by, verb, ..
    } = command;
    assert_eq!(by, format!("uid {UID}"));
    let few = |reason: &Option<String>| reason.as_ref().is_none_or(|it| it.len() <= WORDS_MAX);
    match event {
        Event::Promote(ask) => {
            assert!(few(&ask.reason) && ask.by == by && ask.instances.len() <= 100);
            assert_eq!(ask.canary.is_some(), ask.strategy == Strategy::Canary);
            ask.canary.iter().for_each(must_be_bounded);
        }
        Event::StartExperiment(ask) => assert!(ask.by == by && ask.arms.len() <= 64),
        Event::CloseExperiment(ask) => assert!(ask.by == by),
        Event::Pause { by: who } | Event::Advance { by: who } => assert!(who == by),
        Event::Stage(ask) => assert!(ask.by == by && (1..=100).contains(&ask.instances.len())),
        Event::Hold(ask) => assert!(few(&ask.reason) && ask.by == by && ask.methods.bits() != 0),
        Event::Rollback(ask) => assert!(few(&ask.reason) && ask.by == by),
        Event::Block(ask) => assert!(ask.reason.len() <= WORDS_MAX && ask.by == by),
        Event::Resume | Event::Abort | Event::Unblock | Event::Unstage { .. } => {}
        other => panic!("no request says {other:?}"),
    }
    Ok(Commanded::Done(verb.to_owned()))
}

fn must_be_bounded(plan: &CanaryPlan) {
    assert!(plan.steps.is_sorted_by(|one, next| one < next));
    assert_eq!(plan.steps.last(), Some(&Share::ALL));
    assert!(plan.steps.len() <= 21 && plan.smoke.len() <= 20 && plan.gates.len() <= 10);
    for smoke in &plan.smoke {
        assert!(smoke.path.starts_with('/') && (100..600).contains(&smoke.status));
    }
}

/// What one end reads, it writes so that the other reads the same.
fn must_be_the_same_at_both_ends(json: &[u8]) {
    same::<PromoteRequest>(json);
    same::<StageRequest>(json);
    same::<UnstageRequest>(json);
    same::<HoldRequest>(json);
    same::<RollbackRequest>(json);
    same::<BlockRequest>(json);
    same::<StartExperimentRequest>(json);
    same::<CloseExperimentRequest>(json);
    same::<PlanRequest>(json);
    same::<CommandEnd>(json);
    same::<Problem>(json);
    same::<Status>(json);
    same::<Operation>(json);
    same::<wire::Event>(json);
}

fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(json: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(json) {
        let written = serde_json::to_string(&value).expect("what was read can be written");
        let again: T = serde_json::from_str(&written).expect("what was written can be read");
        assert_eq!(again, value, "{written}");
    }
}

/// What a name stands for, where nobody is to be asked.
pub(super) async fn look_up(text: &str) -> io::Result<impl Iterator<Item = SocketAddr>> {
    let digits = text.bytes().fold(0, u8::wrapping_add);
    let address = SocketAddr::from(([127, 0, 0, digits], 80));
    match digits % 8 {
        0 => Err(io::ErrorKind::NotFound.into()),
        1 => Ok(Vec::new().into_iter()),
        _ => Ok(vec![address].into_iter()),
    }
}
