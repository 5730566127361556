//! What the app gets from us with each request.

use http::header::{HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use crate::exchange::Exchange;
use crate::table::App;

/// Puts in the fields that the app gets from us, and takes a stripped prefix off. What is said in these
/// fields of a client is believed of trusted fronts only.
pub(super) fn prepare(exchange: &mut Exchange, app: &App, scheme: &'static str) {
    const HELD_MS: HeaderName = HeaderName::from_static("x-held-ms");
    let fields = &mut exchange.head.headers;
    exchange.origin.tell(fields, scheme);
    if exchange.held.is_zero() {
        fields.remove(HELD_MS);
    } else {
        let held_ms = u64::try_from(exchange.held.as_millis()).unwrap_or(u64::MAX);
        fields.insert(HELD_MS, HeaderValue::from(held_ms));
    }
    if app.settings.config.strip_prefix {
        strip_prefix(&mut exchange.head.uri, &app.settings.config.paths);
    }
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
