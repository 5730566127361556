//! Reading a request: bodies that are bounded and strict, parameters, conditions.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use http::Request;
use http::header::{HeaderMap, IF_MATCH};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::Value;
use swap_core::{Generation, duration};
use tokio::time::timeout;

use crate::driver::Conditions;
use crate::problem::usage;
use crate::wire::Problem;

/// The longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take.
const BODY_MAX: Duration = Duration::from_secs(10);

/// The longest reason.
const WORDS_BYTES_MAX: usize = 1024;

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
    serde_json::from_str(text).map_err(|error| usage(in_words::<T>(text, &error)))
}

/// What is wrong with a body, naming the field.
fn in_words<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> String {
    let words = error.to_string();
    // Unknown, doubled and missing fields are named already.
    if words.contains(" field `") {
        return words;
    }
    match wrong_field::<T>(text) {
        Some(field) => format!("{field}: {words}"),
        None => format!("the body: {words}"),
    }
}

/// The first field that is wrong even by itself.
fn wrong_field<T: DeserializeOwned>(text: &str) -> Option<String> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut fields = fields.into_iter();
    fields.find_map(|(field, value)| {
        let alone = Value::Object(iter::once((field.clone(), value)).collect());
        serde_json::from_value::<T>(alone).is_err().then_some(field)
    })
}

/// Words of people, not too many of them: they are journalled, and kept.
pub(super) fn words(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match &text {
        Some(text) if text.len() > WORDS_BYTES_MAX => Err(usage(format!(
            "{field}: {} bytes are more than {WORDS_BYTES_MAX}",
            text.len()
        ))),
        Some(_) | None => Ok(text),
    }
}

/// `Idempotency-Key`, and `If-Match: "GENERATION"`.
pub(super) fn conditions(fields: &HeaderMap) -> Result<Conditions, Problem> {
    let key = match fields.get("idempotency-key") {
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
    Ok(Conditions { key, generation })
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

/// The parameters of a query, if they are among the `known` ones. Our values need no percent-encoding.
pub(super) fn parameters<'a>(
    query: Option<&'a str>,
    known: &[&str],
) -> Result<BTreeMap<&'a str, &'a str>, Problem> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    let pairs = pairs.filter(|pair| !pair.is_empty());
    let read = |pair: &'a str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if known.contains(&name) {
            return Ok((name, value));
        }
        let known = known.join(", ");
        Err(usage(format!(
            "{name}: no such parameter; there is {known}"
        )))
    };
    pairs.map(read).collect()
}

/// Whether this parameter says yes.
pub(super) fn is_true(query: &BTreeMap<&str, &str>, name: &str) -> Result<bool, Problem> {
    match query.get(name).copied() {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(other) => Err(usage(format!(
            "{name}: {other:?} is neither true nor false"
        ))),
    }
}
