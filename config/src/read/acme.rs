//! `[acme]`, and the names for which a listener asks for certificates

use super::tls::file;
use crate::host::parse_name;
use crate::table::Table;
use crate::value::Value;
use crate::{Acme, Challenge, Listen};

const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
const DIRECTORY_EXAMPLE: &str = r#""https://acme-v02.api.letsencrypt.org/directory""#;
/// The longest URL of a directory, in octets.
const DIRECTORY_MAX: usize = 2048;
/// So many contacts an account may have.
const CONTACTS_MAX: usize = 8;
const CONTACT_MAX: usize = 320;
/// Names of one listener. Each is a certificate of its own, and authorities limit how many they give in a week.
const NAMES_MAX: usize = 100;
/// A longer one has no room for an ending in the name of a file.
const NAME_MAX: usize = 240;
/// Where an authority asks over TLS (RFC 8737, 3).
const HTTPS_PORT: u16 = 443;

/// `None` if the table is not there.
pub(super) fn read(mut table: Table<'_>, listeners: &[Listen]) -> Option<Acme> {
    table.needs("agree", "true");
    let agree = table.value("agree", "true");
    if agree.flag() == Some(false) {
        let _: Option<()> = agree
            .wrong("has to be true: only who agrees to an authority's terms gets certificates");
    }
    let directory = table.value("directory", DIRECTORY_EXAMPLE);
    let contact = table.value("contact", r#"["mailto:ops@example.com"]"#);
    let contact = contact.items(CONTACTS_MAX).into_iter();
    let root = table.value("root", r#""authority.pem""#);
    let value = table.value("challenge", r#""http-01""#);
    let challenge = value.parsed(challenge).unwrap_or(usual(listeners));
    let is_present = table.is_present();
    if is_present {
        warn_of_what_cannot_be(challenge, value, listeners);
    }
    let acme = Acme {
        directory: directory
            .parsed(url)
            .unwrap_or_else(|| DIRECTORY.to_owned()),
        contact: contact.filter_map(|item| item.parsed(mailbox)).collect(),
        root: root.parsed(file),
        challenge,
    };
    table.end();
    is_present.then_some(acme)
}

/// The names under `acme` of a listener's `tls`. `agreed`: there is an `[acme]`.
pub(super) fn names(value: Value<'_>, agreed: bool) -> Vec<String> {
    if value.place().is_some() && !agreed {
        value.sink().error(crate::report::Finding {
            place: value.place(),
            message:
                "`acme` asks for certificates, and there is no [acme] that says on which terms"
                    .to_owned(),
            example: Some("[acme]\nagree = true".to_owned()),
            hint: None,
        });
    }
    let items = value.items(NAMES_MAX);
    if value.place().is_some() && items.is_empty() {
        let _: Option<()> = value.wrong("needs at least one name");
    }
    let mut names = Vec::new();
    for item in items {
        match item.parsed(name) {
            Some(name) if names.contains(&name) => {
                let _: Option<()> = item.wrong("is there twice");
            }
            name => names.extend(name),
        }
    }
    names
}

/// A name for which http-01 and tls-alpn-01 can prove something.
fn name(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err("a wildcard is proven by dns-01 only, which is not supported: write each name, or give a certificate file".to_owned());
    }
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok() || text.starts_with('[');
    if is_address {
        return Err("certificates are for names, not for addresses".to_owned());
    }
    if text.len() > NAME_MAX {
        return Err(format!("longer than {NAME_MAX} characters"));
    }
    if text.contains('_') {
        return Err("no authority gives certificates for names with an underscore".to_owned());
    }
    parse_name(text).map_err(|bad| bad.to_string())
}

fn url(text: &str) -> Result<String, &'static str> {
    let authority = text.strip_prefix("https://");
    let Some(authority) = authority.and_then(|rest| rest.split('/').next()) else {
        return Err("a directory's URL begins with https://");
    };
    let visible = text.bytes().all(|octet| octet.is_ascii_graphic());
    if authority.is_empty() || !visible || text.contains(['#', '@']) {
        return Err("it is no URL such as https://acme.example.com/directory");
    }
    if text.len() > DIRECTORY_MAX {
        return Err("a directory's URL has at most 2048 characters");
    }
    Ok(text.to_owned())
}

fn mailbox(text: &str) -> Result<String, &'static str> {
    let sound = |mailbox: &str| {
        let (local, host) = mailbox.split_once('@').unwrap_or_default();
        let visible = mailbox.bytes().all(|octet| octet.is_ascii_graphic());
        !local.is_empty() && !host.is_empty() && visible && text.len() <= CONTACT_MAX
    };
    match text.strip_prefix("mailto:") {
        Some(mailbox) if sound(mailbox) => Ok(text.to_owned()),
        Some(_) => Err("behind `mailto:` stands one address, as in mailto:ops@example.com"),
        None => Err("a contact is a URL, as in mailto:ops@example.com"),
    }
}

fn challenge(text: &str) -> Result<Challenge, &'static str> {
    match text {
        "tls-alpn-01" => Ok(Challenge::TlsAlpn01),
        "http-01" => Ok(Challenge::Http01),
        "dns-01" => Err("dns-01 is not supported: it is `tls-alpn-01` or `http-01`"),
        _ => Err("it is `tls-alpn-01` or `http-01`"),
    }
}

/// Needs nothing but the listener that is asked for, if that is where authorities ask.
fn usual(listeners: &[Listen]) -> Challenge {
    let mut secure = listeners.iter().filter(|listen| listen.tls.is_some());
    if secure.any(|listen| listen.address.port() == HTTPS_PORT) {
        Challenge::TlsAlpn01
    } else {
        Challenge::Http01
    }
}

fn warn_of_what_cannot_be(challenge: Challenge, value: Value<'_>, listeners: &[Listen]) {
    let asks = |listen: &Listen| listen.tls.as_ref().is_some_and(|tls| !tls.acme.is_empty());
    if !listeners.is_empty() && !listeners.iter().any(asks) {
        value.warn(
            "[acme] is there, but no [[listen]] asks for a certificate".to_owned(),
            "tls = { acme = [\"shop.example.com\"] }",
        );
    } else if challenge == Challenge::Http01 && listeners.iter().all(|listen| listen.tls.is_some())
    {
        value.warn(
            "an authority asks for http-01 at port 80 without TLS, and every [[listen]] has TLS"
                .to_owned(),
            "a [[listen]] at port 80, perhaps with redirect = true; or challenge = \"tls-alpn-01\"",
        );
    }
}
