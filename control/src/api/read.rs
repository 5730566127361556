//! Reading a request: bodies that are bounded and strict, parameters, conditions.

use http::Request;
use http::header::{HeaderMap, IF_MATCH};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use std::time::Duration;
use swap_core::{Generation, OperationId, duration};
use tokio::time::timeout;

use crate::problem::usage;
use crate::wire::Problem;

/// The longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take.
const BODY_MAX: Duration = Duration::from_secs(10);

/// A body without fields.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The body as JSON; none at all is `{}`. `null` too, because some clients say that.
pub(super) async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    let reading = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let octets = match timeout(BODY_MAX, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(usage("the body is longer than 64 KiB"));
        }
        Ok(Err(error)) => return Err(usage(format!("the body broke off: {error}"))),
        Err(_) => return Err(usage("the body took longer than 10 s")),
    };
    let text = str::from_utf8(&octets)
        .map_err(|error| usage(format!("the body is not UTF-8: {error}")))?;
    let text = if matches!(text.trim(), "" | "null") {
        "{}"
    } else {
        text
    };
    serde_json::from_str(text).map_err(|error| usage(format!("the body: {error}")))
}

/// What the fields of a request add to a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) operation: Option<OperationId>,
    pub(super) generation: Option<Generation>,
}

/// `Idempotency-Key`, and `If-Match: "GENERATION"`.
pub(super) fn conditions(fields: &HeaderMap) -> Result<Conditions, Problem> {
    let operation = match fields.get("idempotency-key") {
        None => None,
        Some(value) => {
            let text = value
                .to_str()
                .map_err(|_| usage("Idempotency-Key is no text"))?;
            let text = text.trim_matches('"');
            Some(
                text.parse()
                    .map_err(|error| usage(format!("Idempotency-Key: {error}")))?,
            )
        }
    };
    let generation = match fields.get(IF_MATCH) {
        None => None,
        Some(value) => {
            let number = value
                .to_str()
                .ok()
                .and_then(|text| text.trim_matches('"').parse().ok());
            let wrong = || usage("If-Match is not a generation in quotes, such as \"7\"");
            Some(Generation(number.ok_or_else(wrong)?))
        }
    };
    Ok(Conditions {
        operation,
        generation,
    })
}

pub(super) fn duration(field: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let read = |text| {
        duration::parse(text).map_err(|error| {
            usage(format!(
                "{field}: {text:?} is not a duration such as 1m30s: {error}"
            ))
        })
    };
    text.map(read).transpose()
}

/// A parameter of the query. Our values need no percent-encoding.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value)
}
