//! From TOML tables to settings: one file for each table, and what can only be said of several together.

mod acme;
mod admin;
mod app;
mod canary;
mod cohort;
mod control;
mod hold;
mod limits;
mod listen;
mod probe;
mod release;
mod routes;
mod sense;
mod server;
mod timeouts;
mod tls;
mod token;
mod upstream;

use std::ops::Range;

use toml::de::DeTable;

use crate::report::Finding;
use crate::table::{Sink, Table};
use crate::{Overrides, Settings, syntax};

/// What a file means, and everything that is said about it.
pub(crate) struct Read {
    /// With errors, only what was left to read.
    pub(crate) settings: Settings,
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    /// Where something stands that is not to be shown.
    pub(crate) secrets: Vec<Range<usize>>,
}

/// Reads a whole file.
pub(crate) fn file(text: &str, overrides: &Overrides) -> Read {
    let sink = Sink::default();
    let (text, said) = syntax::readable(text, &sink);
    let about_syntax = sink.errors();
    let (tables, _) = DeTable::parse_recoverable(&text);
    let settings = document(Table::root(&sink, tables.get_ref()), overrides);
    let (mut errors, warnings, secrets) = sink.into_findings();
    let about_meaning = errors.split_off(about_syntax);
    let news = about_meaning
        .into_iter()
        .filter(|error| !meets(error, &said));
    errors.extend(news);
    Read {
        settings,
        errors,
        warnings,
        secrets,
    }
}

fn meets(error: &Finding, said: &[Range<usize>]) -> bool {
    let place = error.place.clone().unwrap_or(0..0);
    said.iter()
        .any(|said| said.start < place.end && place.start < said.end)
}

fn document(mut root: Table<'_>, overrides: &Overrides) -> Settings {
    let errors = root.sink.errors();
    let server = server::read(root.table("server"));
    // Of a [server] with errors nobody can say whom it trusts.
    let trusting = !server.trusted.is_empty() || root.sink.errors() > errors;
    let agreed = root.place_of("acme").is_some();
    let listen = listen::read(&mut root, overrides, trusting, agreed);
    let settings = Settings {
        server,
        limits: limits::read(root.table("limits")),
        control: control::read(root.table("control")),
        admin: admin::read(root.table("admin"), &listen),
        acme: acme::read(root.table("acme"), &listen),
        listen,
        apps: app::read_all(&mut root),
    };
    root.end();
    settings
}
