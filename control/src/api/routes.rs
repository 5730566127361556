//! Which paths there are, and what each is for. `openapi.json` tells the same; a test holds them together.

use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};

use crate::problem::problem;
use crate::server::{Answer, of_problem};

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Status,
    Version,
    OpenApi,
    History,
    Receipt,
    Events,
    Reload,
    Upgrade,
    Operation(String),
    CommandEnded(String),
    App(String, Verb),
}

/// What can be said to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Promote,
    Stage,
    Unstage,
    Hold,
    Resume,
    Rollback,
    Abort,
    Block,
    Unblock,
    Pause,
    Advance,
    ExperimentStart,
    ExperimentClose,
    Plan,
}

impl Verb {
    const ALL: [Self; 14] = [
        Self::Promote,
        Self::Stage,
        Self::Unstage,
        Self::Hold,
        Self::Resume,
        Self::Rollback,
        Self::Abort,
        Self::Block,
        Self::Unblock,
        Self::Pause,
        Self::Advance,
        Self::ExperimentStart,
        Self::ExperimentClose,
        Self::Plan,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Stage => "stage",
            Self::Unstage => "unstage",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Rollback => "rollback",
            Self::Abort => "abort",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Pause => "pause",
            Self::Advance => "advance",
            Self::ExperimentStart => "experiment start",
            Self::ExperimentClose => "experiment close",
            Self::Plan => "plan",
        }
    }
}

/// Why a request is for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// No such path.
    NoPath(String),
    /// The path takes another method.
    Takes(&'static str),
}

impl Nowhere {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::NoPath(path) => {
                let detail = format!("{path}: see GET /v1/openapi.json");
                of_problem(&problem(
                    404,
                    "unknown_path",
                    "no such path or verb",
                    detail,
                ))
            }
            Self::Takes(method) => {
                let detail = format!("this path takes {method}");
                let status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
                let mut answer = of_problem(&problem(status, "method", "not this method", detail));
                let allowed = HeaderValue::from_static(method);
                answer.headers_mut().insert(ALLOW, allowed);
                answer
            }
        }
    }
}

/// What a request with this method and path is for.
pub(super) fn find(method: &Method, path: &str) -> Result<Route, Nowhere> {
    let nowhere = || Nowhere::NoPath(path.to_owned());
    let parts = path.strip_prefix("/v1/").ok_or_else(nowhere)?;
    let parts: Vec<&str> = parts.split('/').collect();
    let (takes, route) = match parts.as_slice() {
        ["status"] => ("GET", Route::Status),
        ["version"] => ("GET", Route::Version),
        ["openapi.json"] => ("GET", Route::OpenApi),
        ["history"] => ("GET", Route::History),
        ["receipt"] => ("GET", Route::Receipt),
        ["events"] => ("GET", Route::Events),
        ["reload"] => ("POST", Route::Reload),
        ["upgrade"] => ("POST", Route::Upgrade),
        ["operations", id] => ("GET", Route::Operation((*id).to_owned())),
        ["operations", id, "command"] => ("POST", Route::CommandEnded((*id).to_owned())),
        ["apps", app, words @ ..] => {
            let mut verbs = Verb::ALL.into_iter();
            let verb = verbs.find(|verb| verb.word().split(' ').eq(words.iter().copied()));
            let app = (*app).to_owned();
            ("POST", Route::App(app, verb.ok_or_else(nowhere)?))
        }
        _ => return Err(nowhere()),
    };
    if method.as_str() == takes {
        Ok(route)
    } else {
        Err(Nowhere::Takes(takes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path, as `openapi.json` writes it.
    fn paths() -> Vec<(&'static str, String)> {
        let gets = [
            "status",
            "version",
            "openapi.json",
            "history",
            "receipt",
            "events",
        ];
        let mut paths: Vec<_> = gets
            .map(|path| ("get", format!("/v1/{path}")))
            .into_iter()
            .collect();
        paths.push(("get", "/v1/operations/{id}".to_owned()));
        paths.push(("post", "/v1/operations/{id}/command".to_owned()));
        paths.push(("post", "/v1/reload".to_owned()));
        paths.push(("post", "/v1/upgrade".to_owned()));
        let verbs = Verb::ALL.into_iter();
        paths.extend(verbs.map(|verb| {
            (
                "post",
                format!("/v1/apps/{{app}}/{}", verb.word().replace(' ', "/")),
            )
        }));
        paths.sort();
        paths
    }

    #[test]
    fn every_path_leads_somewhere_and_is_in_openapi_json_which_has_no_other() {
        for (method, path) in paths() {
            let method: Method = method.to_uppercase().parse().unwrap();
            assert!(find(&method, &path).is_ok(), "{method} {path}");
        }
        let told: serde_json::Value = serde_json::from_str(super::super::OPENAPI).unwrap();
        let told = told["paths"].as_object().unwrap().iter();
        let mut told: Vec<_> = told
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| (method.as_str(), path.clone()))
            })
            .collect();
        told.sort();
        assert_eq!(told, paths());
    }

    #[test]
    fn another_method_is_told_which_one_the_path_takes() {
        assert_eq!(
            find(&Method::GET, "/v1/apps/web/promote"),
            Err(Nowhere::Takes("POST"))
        );
        assert_eq!(
            find(&Method::POST, "/v1/status"),
            Err(Nowhere::Takes("GET"))
        );
        for path in [
            "/",
            "/v1",
            "/v1/",
            "//v1/status",
            "/v1/status/",
            "/v1/apps/web/explode",
            "/v1/apps/web/experiment",
            "/v1/apps/web",
        ] {
            assert_eq!(
                find(&Method::GET, path),
                Err(Nowhere::NoPath(path.to_owned()))
            );
        }
    }
}
