//! Holdfast, as `run` has it: metrics are always counted, the access log is off unless asked for.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::super::hidden;
use super::{Back, Front, Place, Programs, filled, said_by};

const TEMPLATE: &str = include_str!("../../../peers/holdfast.toml");
const APP: &str = include_str!("../../../peers/holdfast-app.toml");

pub(super) fn version(programs: &Programs) -> Result<String, String> {
    match &programs.holdfast {
        Some(path) => said_by(path, "--version"),
        None => Ok(format!(
            "holdfast {}, in this program",
            env!("CARGO_PKG_VERSION")
        )),
    }
}

pub(super) fn start(place: &Place<'_>, logs: bool) -> io::Result<Command> {
    let directory = place.directory;
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let log = if logs {
        path("access.log")
    } else {
        "off".to_owned()
    };
    let mut apps = String::new();
    let origin = place.origin.to_string();
    let upstream = match place.setting.back {
        Back::Http1 => "",
        Back::Http2 => "upstream.protocol = \"http2\"",
    };
    let files = place.certificate;
    let tls = match place.setting.front {
        Front::Plain | Front::Http2 => String::new(),
        Front::Tls => {
            let (certificate, key) = (&files.certificate, &files.key);
            format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}")
        }
    };
    let mut app = |name: &str, hosts: &str| {
        let values = [
            ("NAME", name),
            ("HOSTS", hosts),
            ("ORIGIN", origin.as_str()),
            ("UPSTREAM", upstream),
        ];
        let _ = writeln!(apps, "{}", filled(APP, &values));
    };
    if place.setting.hosts == 1 {
        app("web", "[]");
    }
    for (number, hosts) in place.setting.apps().iter().enumerate() {
        app(&format!("web{number}"), &format!("{hosts:?}"));
    }
    let text = filled(
        TEMPLATE,
        &[
            ("LISTEN", &place.listen.to_string()),
            ("TLS", &tls),
            ("STATE", &path("state")),
            ("SOCKET", &path("control.sock")),
            ("LOG", &log),
            ("APPS", &apps),
        ],
    );
    let file = directory.join("holdfast.toml");
    fs::write(&file, text)?;
    let mut command = match &place.programs.holdfast {
        Some(program) => hidden::pinned(place.core, program),
        None => {
            let mut command = hidden::pinned(place.core, hidden::own()?);
            command.arg(hidden::HOLDFAST);
            command
        }
    };
    command.args(["run", "--config"]).arg(file);
    Ok(command)
}
