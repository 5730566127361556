//! Smoke tests: each instance is asked each of them, once, and has to answer as said.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use swap_core::{Address, Release, Smoke, duration};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ask::{connect, exchange};
use super::{Failure, Question};

/// How long an instance may take for one of them.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// How long all of them may take.
const ALL_TIME_MAX: Duration = Duration::from_secs(60);
/// So much of an answer is looked through for a text.
const LOOKED_AT_MAX: usize = 64 << 10;

/// Asks every instance all of it, those beside each other. An error is what was seen first that should not have been.
pub(crate) async fn smoke(
    release: Release,
    tests: Vec<Smoke>,
    question: Question,
) -> Result<(), Failure> {
    let mut instances = JoinSet::new();
    for instance in release.instances {
        let (tests, question) = (tests.clone(), question.clone());
        instances.spawn(async move {
            for test in tests {
                one(&instance, &test, &question).await?;
            }
            Ok(())
        });
    }
    let all = async {
        while let Some(ended) = instances.join_next().await {
            ended.unwrap_or_else(|error| Err(format!("a smoke test was not asked: {error}")))?;
        }
        Ok(())
    };
    match timeout(ALL_TIME_MAX, all).await {
        Ok(result) => result,
        Err(_) => {
            let limit = duration::text(ALL_TIME_MAX);
            Err(format!("the smoke tests took longer than {limit}"))
        }
    }
}

async fn one(instance: &Address, test: &Smoke, question: &Question) -> Result<(), Failure> {
    let question = Question {
        path: test.path.clone(),
        grpc: None,
        ..question.clone()
    };
    let path = told(test);
    match timeout(ANSWER_TIME_MAX, ask(instance, test, &question)).await {
        Err(_) => {
            let limit = duration::text(ANSWER_TIME_MAX);
            Err(format!(
                "{instance}: no answer to GET {path} within {limit}"
            ))
        }
        Ok(Err(why)) => Err(format!("{instance}: {why}")),
        Ok(Ok(Seen { status, .. })) if status != test.status => {
            let wanted = test.status;
            Err(format!(
                "{instance} answered {status} to GET {path} instead of {wanted}"
            ))
        }
        Ok(Ok(Seen {
            has_text: false, ..
        })) => {
            let text = test.text.as_deref().unwrap_or_default();
            Err(format!(
                "{instance} answered GET {path} without {text:?} in it"
            ))
        }
        Ok(Ok(Seen { .. })) => Ok(()),
    }
}

/// Without the query, which may have a secret in it.
fn told(test: &Smoke) -> &str {
    let path = test.path.split_once('?');
    path.map_or(test.path.as_str(), |(path, _)| path)
}

/// What was answered.
struct Seen {
    status: u16,
    has_text: bool,
}

async fn ask(instance: &Address, test: &Smoke, question: &Question) -> Result<Seen, String> {
    let stream = connect(instance, question).await?;
    let request = question.request(&question.authority(instance));
    let request = request.map_err(|error| error.to_string())?;
    let text = test.text.as_deref();
    let asking = exchange(stream, question.protocol, request, async |answer| {
        look(answer, text).await
    });
    let no_http = |error| format!("no HTTP answer to GET {}: {error}", told(test));
    let looked = asking.await.map_err(no_http)?;
    looked.map_err(no_http)
}

async fn look(answer: Response<Incoming>, text: Option<&str>) -> Result<Seen, hyper::Error> {
    let status = answer.status().as_u16();
    let Some(text) = text else {
        let has_text = true;
        return Ok(Seen { status, has_text });
    };
    let mut body = answer.into_body();
    let mut begin = Vec::new();
    while begin.len() < LOOKED_AT_MAX
        && let Some(frame) = body.frame().await
    {
        if let Some(octets) = frame?.data_ref() {
            begin.extend_from_slice(octets);
        }
    }
    begin.truncate(LOOKED_AT_MAX);
    let has_text = begin
        .windows(text.len())
        .any(|part| part == text.as_bytes());
    Ok(Seen { status, has_text })
}
