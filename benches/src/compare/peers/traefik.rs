//! Traefik, with one processor as Go counts them.

use std::fs;
use std::io;
use std::process::Command;

use super::super::hidden;
use super::{Back, Front, Place, filled};

const STATIC: &str = include_str!("../../../peers/traefik.toml");
const DYNAMIC: &str = include_str!("../../../peers/traefik-dynamic.toml");
const APP: &str = include_str!("../../../peers/traefik-app.toml");

pub(super) fn start(place: &Place<'_>) -> io::Result<Command> {
    let setting = place.setting;
    let origin = place.origin.to_string();
    let scheme = match setting.back {
        Back::Http1 => "http",
        Back::Http2 => "h2c",
    };
    let router_tls = match setting.front {
        Front::Tls => "tls = {}",
        Front::Plain | Front::Http2 => "",
    };
    let app = |name: &str, rule: &str| {
        let values = [
            ("NAME", name),
            ("RULE", rule),
            ("ROUTER_TLS", router_tls),
            ("SCHEME", scheme),
            ("ORIGIN", origin.as_str()),
        ];
        filled(APP, &values)
    };
    let mut routes = String::new();
    if setting.hosts == 1 {
        routes.push_str(&app("web", "PathPrefix(`/`)"));
    }
    for (number, hosts) in setting.apps().iter().enumerate() {
        let rules = hosts.iter().map(|host| format!("Host(`{host}`)"));
        let rule = rules.collect::<Vec<_>>().join(" || ");
        routes.push_str(&app(&format!("web{number}"), &rule));
    }
    let tls = match setting.front {
        Front::Tls => format!(
            "[[tls.certificates]]\ncertFile = {:?}\nkeyFile = {:?}\n\n\
             [tls.options.default]\nminVersion = \"VersionTLS13\"\n",
            place.certificate.certificate, place.certificate.key
        ),
        Front::Plain | Front::Http2 => String::new(),
    };
    let dynamic = place.directory.join("dynamic.toml");
    fs::write(
        &dynamic,
        filled(DYNAMIC, &[("TLS", &tls), ("ROUTES", &routes)]),
    )?;
    let text = filled(
        STATIC,
        &[
            ("LISTEN", &place.listen.to_string()),
            ("DYNAMIC", &dynamic.to_string_lossy()),
        ],
    );
    let file = place.directory.join("traefik.toml");
    fs::write(&file, text)?;
    let mut command = hidden::pinned(place.core, place.programs.traefik());
    command.env("GOMAXPROCS", "1").env("HOME", place.directory);
    command.arg(format!("--configFile={}", file.display()));
    Ok(command)
}
