//! What the app gets from us with each request.

use holdfast_config::App;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use crate::exchange::Exchange;

/// Puts in the fields that the app gets from us, and takes a stripped prefix off. What is said in these
/// fields of a client is believed of trusted fronts only. Returns the target as it was, if it is another now.
pub(crate) fn prepare(
    exchange: &mut Exchange,
    app: &App,
    scheme: &'static str,
) -> Option<Box<Uri>> {
    const HELD_MS: HeaderName = HeaderName::from_static("x-held-ms");
    let fields = &mut exchange.head.headers;
    exchange.origin.tell(fields, scheme);
    if exchange.held.is_zero() {
        fields.remove(HELD_MS);
    } else {
        let held_ms = u64::try_from(exchange.held.as_millis()).unwrap_or(u64::MAX);
        fields.insert(HELD_MS, HeaderValue::from(held_ms));
    }
    if !app.strip_prefix {
        return None;
    }
    let target = exchange.head.uri.clone();
    strip_prefix(&mut exchange.head.uri, &app.paths);
    Some(Box::new(target))
}

/// Makes it again what it was before it was prepared and perhaps written for HTTP/1.1.
pub(crate) fn take_back(exchange: &mut Exchange, target: Option<Box<Uri>>) {
    if let Some(target) = target {
        exchange.head.uri = *target;
    }
    let fields = &mut exchange.head.headers;
    if fields.get(header::HOST).is_some_and(HeaderValue::is_empty) {
        fields.remove(header::HOST);
    }
    fields.remove(header::TRANSFER_ENCODING);
    exchange.origin.untell(fields);
}

/// Takes the longest of `prefixes` off the target's path.
fn strip_prefix(target: &mut Uri, prefixes: &[String]) {
    let matching = prefixes
        .iter()
        .map(|prefix| prefix.trim_end_matches('/'))
        .filter(|prefix| {
            let rest = target.path().strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    let longest = matching.map(str::len).max().unwrap_or(0);
    let rest = &target.path_and_query().map_or("/", PathAndQuery::as_str)[longest..];
    let whole = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    if let Ok(stripped) = whole.parse() {
        *target = stripped;
    }
}
