//! Getting from text to TOML tables even when parts of the text are no TOML, so that one missing bracket does not hide
//! what is wrong elsewhere.
//!
//! The parser recovers well from a text without quotes or a key that stands twice, and badly from an open bracket,
//! which swallows everything behind it. So a section (from one header to the next) with an error of the latter kind is
//! reported once, blanked out, and the rest is read again. Places stay the same throughout.

use std::ops::Range;

use toml::de::{DeTable, Error};

use crate::report::Finding;
use crate::table::Sink;

/// The text with every section blanked out that is no TOML at all; what was wrong is in `sink`.
///
/// Parsing the result with [`DeTable::parse_recoverable`] gives tables that can be read, but for the places returned:
/// what is said about them has been said.
pub(crate) fn readable(text: &str, sink: &Sink) -> (String, Vec<Range<usize>>) {
    let mut text = text.to_owned();
    loop {
        let (_, mut errors) = DeTable::parse_recoverable(&text);
        errors.sort_by_key(|error| place(error, &text).start);
        let Some(error) = errors.iter().find(|error| !is_local(error)) else {
            return (text.clone(), report_all(&text, &errors, sink));
        };
        let place = place(error, &text);
        report(error, place.clone(), sink);
        let section = section_around(&text, place.start);
        let blank = blanked(&text[section.clone()]);
        if blank == text[section.clone()] {
            // Nothing left to blank out: cannot happen while errors have places, but must not turn for ever.
            return (String::new(), Vec::new());
        }
        text.replace_range(section, &blank);
    }
}

fn report_all(text: &str, errors: &[Error], sink: &Sink) -> Vec<Range<usize>> {
    let places = errors.iter().map(|error| {
        let place = place(error, text);
        report(error, place.clone(), sink);
        place
    });
    places.collect()
}

/// Whether the rest of the text reads as it was meant in spite of this error.
fn is_local(error: &Error) -> bool {
    let message = error.message();
    message.starts_with("string values must be quoted") || message.starts_with("duplicate key")
}

fn place(error: &Error, text: &str) -> Range<usize> {
    let place = error.span().unwrap_or(0..0);
    let start = text.floor_char_boundary(place.start.min(text.len()));
    let end = text.ceil_char_boundary(place.end.clamp(start, text.len()));
    start..end
}

fn report(error: &Error, place: Range<usize>, sink: &Sink) {
    sink.incomplete();
    let unquoted = error.message().starts_with("string values must be quoted");
    let (message, hint) = if unquoted {
        (
            "a text without quotes",
            Some("put it in double quotes".to_owned()),
        )
    } else {
        (error.message(), None)
    };
    sink.error(Finding {
        place: Some(place),
        message: format!("not TOML: {message}"),
        example: None,
        hint,
    });
}

/// From the last line before `offset` that begins like a header to the first one behind it.
fn section_around(text: &str, offset: usize) -> Range<usize> {
    let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_header(line) {
            if at > line_start {
                return start..at;
            }
            start = at;
        }
        at += line.len();
    }
    start..text.len()
}

/// The same octets' worth of blanks, with the line ends where they were.
fn blanked(section: &str) -> String {
    let blank = |b: u8| if b == b'\n' { '\n' } else { ' ' };
    section.bytes().map(blank).collect()
}
