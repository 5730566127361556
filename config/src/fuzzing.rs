//! What must hold of every file, whatever its octets: the target `config` of `fuzz`. The test here says to the same
//! function what fuzzing has kept. In no other build.

#![allow(clippy::expect_used, reason = "a panic is how a check fails")]

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use crate::written::lines;
use crate::{Checked, Error, Errors, Overrides, Settings};

#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;

/// A file is refused with errors that point into it, or it means something, and means it again when it is written down.
pub fn config(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    match read(octets) {
        Ok(checked) => {
            must_point_into(&text, &checked.warnings.entries());
            must_be_plain(&checked.warnings.to_string());
            must_mean_the_same_again(&text, &checked);
        }
        Err(errors) => {
            let entries = errors.entries();
            assert!(!entries.is_empty(), "refused without a reason");
            must_point_into(&text, &entries);
            must_be_plain(&errors.to_string());
            assert_eq!(said(&read(octets)), Some(errors.to_string()), "again");
        }
    }
}

fn read(octets: &[u8]) -> Result<Checked, Errors> {
    Settings::read(octets, "holdfast.toml", &Overrides::default())
}

fn said(read: &Result<Checked, Errors>) -> Option<String> {
    read.as_ref().err().map(Errors::to_string)
}

fn must_point_into(text: &str, entries: &[Error]) {
    let lines: Vec<&str> = text.split('\n').collect();
    for entry in entries {
        assert!(!entry.message.is_empty());
        let line = entry.line.checked_sub(1).and_then(|at| lines.get(at));
        let length = line.expect("a line of the text").chars().count();
        let within = 1..=length + 1;
        assert!(within.contains(&entry.column), "{entry:?}");
    }
}

/// It goes to terminals, which what stands in a file must not command.
fn must_be_plain(said: &str) {
    let commands = said.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(commands, None, "{said:?}");
}

fn must_mean_the_same_again(text: &str, checked: &Checked) {
    let settings = &checked.settings;
    assert!(!settings.listen.is_empty() && !settings.apps.is_empty());
    assert_eq!(settings.changes(settings), []);
    let written = lines(settings).into_iter();
    let written: String = written.map(|(k, v)| format!("{k} = {v}\n")).collect();
    for again in [text, &written, &format!("{text}\n# the end")] {
        match read(again.as_bytes()) {
            Ok(checked) => assert_eq!(checked.settings, *settings, "{again}"),
            Err(errors) => panic!("{errors}\n{again}"),
        }
    }
}

/// What a name stands for, where nobody is to be asked.
pub(crate) fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let digits = name.bytes().fold(0, u8::wrapping_add);
    match digits % 8 {
        0 => Err(io::ErrorKind::NotFound.into()),
        1 => Ok(Vec::new()),
        2 => Ok(vec![(Ipv6Addr::LOCALHOST, port).into()]),
        _ => Ok(vec![
            ([127, 0, 1, digits], port).into(),
            ([127, 0, 0, digits], port).into(),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::replay;

    #[test]
    fn a_file_is_refused_at_a_place_in_it_or_means_the_same_when_written_down() {
        let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");
        replay::all(fuzz, "config", super::config);
    }
}
