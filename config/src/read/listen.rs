//! `[[listen]]`

use super::tls;
use crate::report::Finding;
use crate::table::Table;
use crate::value::Value;
use crate::{Listen, Overrides, Tls, resolve_listener};

/// So many listeners there may be; each has a socket per worker.
const LISTENERS_MAX: usize = 64;

/// `trusting`: somebody is trusted to say who a client is. `agreed`: there is an `[acme]`.
pub(super) fn read(
    root: &mut Table<'_>,
    overrides: &Overrides,
    trusting: bool,
    agreed: bool,
) -> Vec<Listen> {
    let sink = root.sink;
    let tables = root.tables("listen");
    if tables.is_empty() && overrides.listen.is_empty() && root.place_of("listen").is_none() {
        let message = "no [[listen]]: nothing would be served".to_owned();
        let example = "[[listen]]\naddress = \"0.0.0.0:80\"";
        sink.missing(None, message, example);
    }
    if let Some(table) = tables.get(LISTENERS_MAX) {
        sink.error(Finding {
            place: table.place(),
            message: format!("more than {LISTENERS_MAX} [[listen]]"),
            example: None,
            hint: None,
        });
    }
    let mut listeners = Vec::new();
    for table in tables.into_iter().take(LISTENERS_MAX) {
        listeners.extend(one(table, &listeners, trusting, agreed));
    }
    listeners
}

fn one(mut table: Table<'_>, earlier: &[Listen], trusting: bool, agreed: bool) -> Option<Listen> {
    let example = r#""0.0.0.0:80""#;
    table.needs("address", example);
    let value = table.value("address", example);
    let address = value.parsed(resolve_listener);
    let tls: Option<Tls> = tls::read(table.table("tls"), agreed);
    let redirect = table.value("redirect", "true");
    let redirects = redirect.flag().unwrap_or(false);
    if redirects && tls.is_some() {
        let _: Option<()> =
            redirect.wrong("is for plain HTTP: with `tls` there is nothing to redirect to");
    }
    if let Some(address) = address {
        let twice = earlier.iter().any(|listen| listen.address == address);
        if twice && address.port() != 0 {
            let _: Option<()> = value.wrong("is the same as another listener's");
        }
    }
    let proxy_protocol = proxy_protocol(table.value("proxy_protocol", "true"), trusting);
    table.end();
    Some(Listen {
        address: address?,
        tls,
        redirect: redirects,
        proxy_protocol,
    })
}

/// Whoever could send such a header unasked could take any address.
fn proxy_protocol(value: Value<'_>, trusting: bool) -> bool {
    let asked_for = value.flag().unwrap_or(false);
    if asked_for && !trusting {
        value.sink().error(Finding {
            place: value.place(),
            message: "`proxy_protocol` is believed of trusted peers only, and `trusted` in [server] names none".to_owned(),
            example: Some("[server]\ntrusted = [\"10.0.0.0/8\"]".to_owned()),
            hint: None,
        });
    }
    asked_for
}
