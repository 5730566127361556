//! HAProxy, with one thread.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::super::hidden;
use super::{Back, Front, Place, filled};

const TEMPLATE: &str = include_str!("../../../peers/haproxy.cfg");

pub(super) fn start(place: &Place<'_>) -> io::Result<Command> {
    let map = place.directory.join("hosts.map");
    let (mut lines, mut backends, mut routes) = (String::new(), String::new(), String::new());
    let origin = match place.setting.back {
        Back::Http1 => place.origin.to_string(),
        Back::Http2 => format!("{} proto h2", place.origin),
    };
    let bind = match place.setting.front {
        Front::Plain => String::new(),
        Front::Http2 => "proto h2".to_owned(),
        Front::Tls => format!(
            "ssl crt {} alpn http/1.1 ssl-min-ver TLSv1.3",
            place.certificate.both.display()
        ),
    };
    for (number, hosts) in place.setting.apps().iter().enumerate() {
        for host in hosts {
            let _ = writeln!(lines, "{host} web{number}");
        }
        let _ = writeln!(backends, "backend web{number}\n  server origin {origin}\n");
    }
    if place.setting.hosts == 1 {
        routes.push_str("default_backend web");
        let _ = writeln!(backends, "backend web\n  server origin {origin}\n");
    } else {
        let map = map.to_string_lossy();
        let _ = write!(routes, "use_backend %[req.hdr(host),lower,map_str({map})]");
    }
    fs::write(&map, lines)?;
    let text = filled(
        TEMPLATE,
        &[
            ("LISTEN", &place.listen.to_string()),
            ("BIND", &bind),
            ("ROUTES", &routes),
            ("BACKENDS", &backends),
        ],
    );
    let file = place.directory.join("haproxy.cfg");
    fs::write(&file, text)?;
    let mut command = hidden::pinned(place.core, "haproxy");
    command.arg("-f").arg(file);
    Ok(command)
}
