//! A proxy made of pingora: `benches/pingora`, which is built apart because of what it brings along.

use std::fs;
use std::io;
use std::process::Command;

use super::super::hidden;
use super::{Back, Front, Place, Programs};
use crate::compare::load;

/// What it is made of is said there.
const LOCK: &str = include_str!("../../../pingora/Cargo.lock");

pub(super) fn version(programs: &Programs) -> Result<String, String> {
    let program = programs.pingora();
    if !program.is_file() {
        return Err(format!("{} is not there: see README", program.display()));
    }
    let (_, rest) = LOCK
        .split_once("name = \"pingora\"\nversion = \"")
        .unwrap_or_default();
    let version = rest.split('"').next().unwrap_or_default();
    Ok(format!("pingora {version}, OpenSSL"))
}

pub(super) fn start(place: &Place<'_>) -> io::Result<Command> {
    let mut command = hidden::pinned(place.core, place.programs.pingora());
    command.args([place.listen, place.origin].map(|it| it.to_string()));
    match place.setting.front {
        Front::Plain => {}
        Front::Http2 => drop(command.arg("h2c-front")),
        Front::Tls => {
            let files = place.certificate;
            let (certificate, key) = (files.certificate.display(), files.key.display());
            command.arg(format!("tls={certificate},{key}"));
        }
    }
    if place.setting.back == Back::Http2 {
        command.arg("h2c-back");
    }
    if place.setting.hosts > 1 {
        let file = place.directory.join("hosts");
        let names: Vec<String> = (0..place.setting.hosts).map(load::host).collect();
        fs::write(&file, names.join("\n"))?;
        command.arg(format!("hosts={}", file.display()));
    }
    Ok(command)
}
