//! Caddy, with one processor as Go counts them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::super::hidden;
use super::{Back, Front, Place, filled};

const TEMPLATE: &str = include_str!("../../../peers/Caddyfile");

pub(super) fn start(place: &Place<'_>) -> io::Result<Command> {
    let setting = place.setting;
    let port = place.listen.port();
    let (protocols, address) = match setting.front {
        Front::Plain => ("h1", format!("http://:{port}")),
        Front::Http2 => ("h1 h2c", format!("http://:{port}")),
        Front::Tls => ("h1", format!("https://:{port}")),
    };
    let tls = match setting.front {
        Front::Tls => {
            let files = place.certificate;
            let (certificate, key) = (files.certificate.display(), files.key.display());
            format!("tls {certificate} {key} {{\n\t\tprotocols tls1.3\n\t}}")
        }
        Front::Plain | Front::Http2 => String::new(),
    };
    let mut routes = String::new();
    if setting.hosts == 1 {
        routes.push_str("import same");
    }
    for (number, hosts) in setting.apps().iter().enumerate() {
        let hosts = hosts.join(" ");
        let _ = write!(
            routes,
            "@web{number} host {hosts}\n\thandle @web{number} {{\n\t\timport same\n\t}}\n\t"
        );
    }
    let versions = match setting.back {
        Back::Http1 => "1.1",
        Back::Http2 => "h2c 2",
    };
    let text = filled(
        TEMPLATE,
        &[
            ("PROTOCOLS", protocols),
            ("ORIGIN", &place.origin.to_string()),
            ("VERSIONS", versions),
            ("ADDRESS", &address),
            ("TLS", &tls),
            ("ROUTES", &routes),
        ],
    );
    let file = place.directory.join("Caddyfile");
    fs::write(&file, text)?;
    let mut command = hidden::pinned(place.core, place.programs.caddy());
    command.env("GOMAXPROCS", "1").env("HOME", place.directory);
    command
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CONFIG_HOME");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(file);
    Ok(command)
}
