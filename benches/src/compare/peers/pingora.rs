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
    let (pingora, openssl) = (locked("pingora"), locked("openssl-src"));
    Ok(format!("pingora {pingora}, OpenSSL {openssl}"))
}

/// The version of a crate in it. What upstream calls its own comes after a `+`.
fn locked(name: &str) -> &'static str {
    let begins = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = LOCK.split_once(&begins).unwrap_or_default();
    let version = rest.split('"').next().unwrap_or_default();
    version.rsplit('+').next().unwrap_or(version)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_made_of_is_read_from_its_lock() {
        for name in ["pingora", "openssl-src"] {
            let version = locked(name);
            assert_eq!(version.split('.').count(), 3, "{name} {version}");
        }
    }
}
