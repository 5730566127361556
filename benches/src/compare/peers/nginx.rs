//! nginx, with one process that is worker and master in one.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::super::hidden;
use super::{Front, Place, filled};

const TEMPLATE: &str = include_str!("../../../peers/nginx.conf");
const SERVER: &str = include_str!("../../../peers/nginx-server.conf");

pub(super) fn start(place: &Place<'_>) -> io::Result<Command> {
    let mut servers = String::new();
    // The length of the queue may be said only once.
    let kind = match place.setting.front {
        Front::Plain => "",
        Front::Http2 => " http2",
        Front::Tls => " ssl",
    };
    let mut listen = format!("{}{kind} backlog=4096", place.listen);
    let files = place.certificate;
    let tls = match place.setting.front {
        Front::Plain | Front::Http2 => String::new(),
        Front::Tls => format!(
            "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;",
            files.certificate.display(),
            files.key.display()
        ),
    };
    let origin = place.origin.to_string();
    let mut server = |name: &str, hosts: &str| {
        let values = [
            ("NAME", name),
            ("HOSTS", hosts),
            ("LISTEN", listen.as_str()),
            ("TLS", tls.as_str()),
            ("ORIGIN", origin.as_str()),
        ];
        let _ = writeln!(servers, "{}", filled(SERVER, &values));
        listen = format!("{}{kind}", place.listen);
    };
    if place.setting.hosts == 1 {
        server("web", "_");
    }
    for (number, hosts) in place.setting.apps().iter().enumerate() {
        server(&format!("web{number}"), &hosts.join(" "));
    }
    let directory = place.directory.to_string_lossy();
    let text = filled(
        TEMPLATE,
        &[("DIRECTORY", &directory), ("SERVERS", &servers)],
    );
    let file = place.directory.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = hidden::pinned(place.core, "nginx");
    command.arg("-p").arg(place.directory).arg("-c").arg(file);
    Ok(command)
}
