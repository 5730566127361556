//! `[[app.NAME.cohort]]`: who always sees the next release.
//!
//! What a client has to show is a secret: nothing that is said about a file has it in it.

use toml::de::DeValue;

use super::token::{cookie_name, is_token};
use crate::report::Finding;
use crate::table::Table;
use crate::value::Value;
use crate::{Cohort, Network, Sign};

/// So many cohorts an app may have; each is looked for in every request while a release is looked at.
const COHORTS_MAX: usize = 16;
const NAME_MAX: usize = 64;
/// So many networks a cohort may have.
const NETWORKS_MAX: usize = 256;
const VALUE_MAX: usize = 256;
/// A shorter one can be found by trying.
const VALUE_SAFE: usize = 16;
/// Whatever its length, a text of fewer different characters is quickly tried.
const VARIETY_SAFE: usize = 5;

const HEADER: &str = r#"{ name = "X-Staff", value = "gT4vXq9RmZ27LdKe" }"#;
const COOKIE: &str = r#"{ name = "staff", value = "gT4vXq9RmZ27LdKe" }"#;
const CLIENTS: &str = r#"["10.0.0.0/8"]"#;
const VALUE: &str = r#""gT4vXq9RmZ27LdKe""#;

/// Every cohort of an app. `opt_in`: the cookie with which anybody can ask for the next release.
pub(super) fn read(app: &mut Table<'_>, opt_in: Option<&str>) -> Vec<Cohort> {
    let tables = app.tables("cohort");
    if let Some(table) = tables.get(COHORTS_MAX) {
        table.sink.error(Finding {
            place: table.place(),
            message: format!("more than {COHORTS_MAX} {}", table.header()),
            example: None,
            hint: None,
        });
    }
    let mut cohorts = Vec::new();
    let mut names = Vec::new();
    for table in tables.into_iter().take(COHORTS_MAX) {
        cohorts.extend(one(table, &mut names, opt_in));
    }
    cohorts
}

fn one(mut table: Table<'_>, names: &mut Vec<String>, opt_in: Option<&str>) -> Option<Cohort> {
    let example = r#""staff""#;
    table.needs("name", example);
    let value = table.value("name", example);
    let name = value.parsed(name);
    if let Some(name) = &name {
        if names.contains(name) {
            let message = format!("`{name}` is the name of another cohort of the app");
            refuse(value, message, "each has a name of its own");
        }
        names.push(name.clone());
    }
    let sign = sign(&mut table, opt_in);
    table.end_among_secrets();
    Some(Cohort {
        name: name?,
        sign: sign?,
    })
}

fn name(text: &str) -> Result<String, &'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a cohort's name is 1 to 64 of A-Z a-z 0-9 . _ -")
    }
}

/// Exactly one of three; each is read, so that everything that is wrong is said.
fn sign(table: &mut Table<'_>, opt_in: Option<&str>) -> Option<Sign> {
    let signs = [("header", HEADER), ("cookie", COOKIE), ("clients", CLIENTS)];
    let values = signs.map(|(key, example)| table.value(key, example));
    for value in &values[..2] {
        if !matches!(value.raw(), Some(DeValue::Table(_))) {
            table.sink.secret(value.place());
        }
    }
    let header = header(table.table("header"));
    let cookie = cookie(table.table("cookie"), opt_in);
    let clients = clients(values[2]);
    let mut given = values.iter().filter(|value| value.place().is_some());
    if given.next().is_none() && table.is_present() {
        let message = format!(
            "{} has none of `header`, `cookie` and `clients`: who belongs to it?",
            table.header()
        );
        table
            .sink
            .missing(table.place(), message, &format!("header = {HEADER}"));
    }
    if let Some(second) = given.next() {
        let message =
            "a cohort has one of `header`, `cookie` and `clients`, and no other beside it";
        refuse(*second, message.to_owned(), "make a second cohort of it");
    }
    header.or(cookie).or(clients)
}

/// Where no other value would be right in its place.
fn refuse(value: Value<'_>, message: String, hint: &str) {
    value.sink().error(Finding {
        place: value.place(),
        message,
        example: None,
        hint: Some(hint.to_owned()),
    });
}

fn header(mut table: Table<'_>) -> Option<Sign> {
    let example = r#""X-Staff""#;
    table.needs("name", example);
    let name = table.value("name", example).parsed(field_name);
    let value = secret(&mut table, is_field_value);
    table.end_among_secrets();
    Some(Sign::Header {
        name: name?,
        value: value?,
    })
}

fn cookie(mut table: Table<'_>, opt_in: Option<&str>) -> Option<Sign> {
    let example = r#""staff""#;
    table.needs("name", example);
    let place = table.value("name", example);
    let name = place.parsed(cookie_name);
    if name.is_some() && name.as_deref() == opt_in {
        let _: Option<()> =
            place.wrong("is the cookie of `canary.opt_in`, which counts with any value");
    }
    let value = secret(&mut table, is_cookie_value);
    table.end_among_secrets();
    Some(Sign::Cookie {
        name: name?,
        value: value?,
    })
}

fn clients(value: Value<'_>) -> Option<Sign> {
    value.raw()?;
    let errors = value.sink().errors();
    let items = value.items(NETWORKS_MAX);
    let networks: Vec<_> = items.into_iter().filter_map(network).collect();
    if value.sink().errors() > errors {
        return None;
    }
    if networks.is_empty() {
        return value.wrong("needs at least one network");
    }
    Some(Sign::Clients(networks))
}

fn network(item: Value<'_>) -> Option<Network> {
    let network = item.parsed(Network::parse)?;
    if network.is_everything() {
        item.warn(
            format!("everybody belongs to it: {network} has every address"),
            "then everybody sees a release that is only staged",
        );
    }
    Some(network)
}

/// Fields that frame a message, belong to one connection, say who somebody is, or are ours. A cohort's field is taken
/// out before the app sees the request, and of these something else would break.
const RESERVED: [&str; 17] = [
    "authorization",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-held-ms",
    "x-request-id",
];
const RESERVED_PREFIXES: [&str; 3] = ["content-", "proxy-", "x-forwarded-"];

/// In lower case.
fn field_name(text: &str) -> Result<String, &'static str> {
    let name = text.to_ascii_lowercase();
    let of_a_kind = RESERVED_PREFIXES.map(|prefix| name.starts_with(prefix));
    if !is_token(text) {
        Err("a field's name is 1 to 64 letters, digits or hyphens")
    } else if text.contains('_') {
        Err("requests that have a field with an underscore in its name are refused")
    } else if RESERVED.contains(&name.as_str()) || of_a_kind.contains(&true) {
        Err("that field has a meaning of its own")
    } else {
        Ok(name)
    }
}

fn secret(table: &mut Table<'_>, sound: fn(&str) -> Result<(), &'static str>) -> Option<String> {
    table.needs("value", VALUE);
    let value = table.value("value", VALUE);
    let text = value.secret()?;
    if let Err(rule) = sound(text) {
        return value.wrong(rule);
    }
    if let Some(why) = why_guessable(text) {
        value.warn(
            format!("whoever guesses the value sees the next release, and it is {why}"),
            "openssl rand -hex 16 makes one that nobody guesses",
        );
    }
    Some(text.to_owned())
}

/// Visible characters; blanks only within, where a field keeps them (RFC 9110, 5.5).
fn is_field_value(text: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b == b' ' || b.is_ascii_graphic();
    let sound = (1..=VALUE_MAX).contains(&text.len()) && text.bytes().all(allowed);
    if sound && text.trim() == text {
        Ok(())
    } else {
        Err("is 1 to 256 visible ASCII characters, with no blank at either end")
    }
}

/// What a cookie can carry without quotes (RFC 6265, 4.1.1).
fn is_cookie_value(text: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\",;\\".contains(&b);
    if (1..=VALUE_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(
            "is 1 to 256 visible ASCII characters without quotes, commas, semicolons or backslashes",
        )
    }
}

/// What people write who do not think of it as a secret.
const WORDS: [&str; 16] = [
    "1", "admin", "beta", "canary", "employee", "internal", "next", "on", "password", "preview",
    "secret", "staff", "team", "test", "true", "yes",
];

fn why_guessable(text: &str) -> Option<&'static str> {
    let mut octets = text.as_bytes().to_vec();
    octets.sort_unstable();
    octets.dedup();
    if WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        Some("a word that anybody thinks of")
    } else if text.len() < VALUE_SAFE {
        Some("shorter than 16 characters")
    } else if octets.len() < VARIETY_SAFE {
        Some("of very few different characters")
    } else {
        None
    }
}
