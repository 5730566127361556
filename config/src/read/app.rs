//! `[app.NAME]`

use std::collections::BTreeMap;
use std::time::Duration;

use swap_core::AppName;
use toml::Spanned;
use toml::de::DeValue;

use super::routes::Routes;
use super::token::is_token;
use super::{canary, cohort, hold, probe, release, sense, timeouts, upstream};
use crate::App;
use crate::host::{parse_host, parse_prefix};
use crate::report::Finding;
use crate::table::{Sink, Table};
use crate::value::Value;

/// So many apps there may be.
const APPS_MAX: usize = 10_000;
/// So many hosts, and so many paths, an app may have.
const ROUTES_MAX: usize = 256;
/// So long an old release is kept warm for its files at most.
const AFFINITY_MAX: Duration = Duration::from_secs(60 * 60);

/// Every app of the file, by its name.
pub(super) fn read_all(root: &mut Table<'_>) -> BTreeMap<AppName, App> {
    let sink = root.sink;
    let tables = root.named_tables("app");
    if tables.is_empty() {
        let message = "no [app.NAME]: nothing would be served".to_owned();
        sink.missing(None, message, "[app.web]\nhosts = [\"shop.example.com\"]");
    }
    if let Some((name, _)) = tables.get(APPS_MAX) {
        sink.error(finding(name.span(), format!("more than {APPS_MAX} apps")));
    }
    let mut apps = BTreeMap::new();
    let mut routes = Routes::default();
    for (name, table) in tables.into_iter().take(APPS_MAX) {
        let app = read(table, name.get_ref(), &mut routes);
        if let Some(name) = name_of(&name, sink) {
            apps.insert(name, app);
        }
    }
    routes.refuse_doubles(sink);
    apps
}

fn name_of(name: &Spanned<&str>, sink: &Sink) -> Option<AppName> {
    let parsed: Result<AppName, _> = name.get_ref().parse();
    parsed
        .map_err(|error| sink.error(finding(name.span(), error.to_string())))
        .ok()
}

fn finding(place: std::ops::Range<usize>, message: String) -> Finding {
    Finding {
        place: Some(place),
        message,
        example: None,
        hint: None,
    }
}

fn read<'t>(mut table: Table<'t>, name: &'t str, routes: &mut Routes<'t>) -> App {
    let errors = table.sink.errors();
    let hosts = table.value("hosts", r#"["shop.example.com", "*.shop.example.com"]"#);
    let hosts = placed(hosts, parse_host);
    let paths = paths(table.value("paths", r#"["/"]"#));
    // Hosts that are all wrong do not mean every host.
    if !hosts.is_empty() || table.sink.errors() == errors {
        routes.add(name, table.place(), &hosts, &paths);
    }
    let strip_prefix = table.value("strip_prefix", "true").flag();
    let release_header = release_header(table.value("release_header", r#""X-Release""#));
    let release = release::read(table.table("release"));
    let upstream = upstream::read(table.table("upstream"));
    let canary = canary::read(table.table("canary"));
    let cohorts = cohort::read(&mut table, canary.opt_in.as_deref());
    let affinity = table.value("affinity", r#""10m""#);
    let mut probe_table = table.table("probe");
    let mut hold_table = table.table("hold");
    let mut timeouts_table = table.table("timeouts");
    let app = App {
        hosts: hosts.into_iter().map(Spanned::into_inner).collect(),
        paths: paths.into_iter().map(Spanned::into_inner).collect(),
        strip_prefix: strip_prefix.unwrap_or(false),
        release_header,
        release,
        upstream,
        probe: probe::read(&mut probe_table),
        hold: hold::read(&mut hold_table),
        timeouts: timeouts::read(&mut timeouts_table),
        canary,
        cohorts,
        affinity: affinity
            .duration(Duration::ZERO..=AFFINITY_MAX)
            .unwrap_or(Duration::ZERO),
    };
    if table.sink.errors() == errors && !table.sink.is_incomplete() {
        sense::check(&app, &probe_table, &hold_table, &timeouts_table);
    }
    for table in [probe_table, hold_table, timeouts_table, table] {
        table.end();
    }
    app
}

/// `/` where none are given. A default has an empty place.
fn paths(value: Value<'_>) -> Vec<Spanned<String>> {
    match value.raw() {
        None => return vec![Spanned::new(0..0, "/".to_owned())],
        Some(DeValue::Array(items)) if items.is_empty() => {
            let _: Option<()> = value.wrong("needs at least one path");
        }
        Some(_) => {}
    }
    placed(value, parse_prefix)
}

/// The sound items of a list, each with its place.
fn placed<E: std::fmt::Display>(
    value: Value<'_>,
    parse: impl Fn(&str) -> Result<String, E>,
) -> Vec<Spanned<String>> {
    let items = value.items(ROUTES_MAX).into_iter();
    let sound = items.filter_map(|item| Some((item.place()?, item.parsed(&parse)?)));
    sound
        .map(|(place, text)| Spanned::new(place, text))
        .collect()
}

const RELEASE_HEADER: &str = "X-Release";

/// Fields that frame a message or belong to one connection: naming one would break every response.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "date",
    "host",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn release_header(value: Value<'_>) -> Option<String> {
    let default = || Some(RELEASE_HEADER.to_owned());
    match value.raw() {
        Some(DeValue::Boolean(false)) => None,
        Some(DeValue::String(_)) => value.parsed(field_name).or_else(default),
        Some(other) => value.not("the name of a field, or false", other),
        None => default(),
    }
}

fn field_name(text: &str) -> Result<String, String> {
    if !is_token(text) {
        return Err("a field's name is 1 to 64 letters, digits or hyphens".to_owned());
    }
    if RESERVED.contains(&text.to_ascii_lowercase().as_str()) {
        return Err("that field has a meaning of its own".to_owned());
    }
    Ok(text.to_owned())
}
