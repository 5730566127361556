//! `[[listen]]`

use std::net::SocketAddr;

use crate::report::Finding;
use crate::table::Table;
use crate::{Listen, Overrides, resolve_listener};

/// So many listeners there may be; each has a socket per worker.
const LISTENERS_MAX: usize = 64;

pub(super) fn read(root: &mut Table<'_>, overrides: &Overrides) -> Vec<Listen> {
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
        if let Some(address) = one(table, &listeners) {
            listeners.push(Listen { address });
        }
    }
    listeners
}

fn one(mut table: Table<'_>, earlier: &[Listen]) -> Option<SocketAddr> {
    let example = r#""0.0.0.0:80""#;
    table.needs("address", example);
    let value = table.value("address", example);
    let address = value.parsed(resolve_listener);
    table.not_yet("tls", "this version serves plain HTTP");
    if let Some(address) = address {
        let twice = earlier.iter().any(|listen| listen.address == address);
        if twice && address.port() != 0 {
            let _: Option<()> = value.wrong("is the same as another listener's");
        }
    }
    table.end();
    address
}
