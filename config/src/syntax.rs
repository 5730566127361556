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
    // Every round blanks out one section; whoever has broken more of them hardly wrote TOML.
    for _ in 0..SECTIONS_MAX {
        let (_, mut errors) = DeTable::parse_recoverable(&text);
        errors.sort_by_key(|error| place(error, &text).start);
        let Some(error) = errors.iter().find(|error| !is_local(error)) else {
            let said = report_all(&text, &errors, sink);
            return (text, said);
        };
        let place = place(error, &text);
        let section = match section_before(&text, place.start) {
            Some(open) => {
                report_open(place, sink);
                open
            }
            None => {
                report(error, place.clone(), sink);
                section_around(&text, place.start)
            }
        };
        let blank = blanked(&text[section.clone()]);
        text.replace_range(section, &blank);
    }
    (String::new(), Vec::new())
}

/// So many broken sections are told of, one by one.
const SECTIONS_MAX: usize = 32;

fn report_all(text: &str, errors: &[Error], sink: &Sink) -> Vec<Range<usize>> {
    let places = errors.iter().map(|error| {
        let place = place(error, text);
        report(error, place.clone(), sink);
        place
    });
    places.collect()
}

/// How the parser begins to say that a value stands without quotes.
const UNQUOTED: &str = "string values must be quoted";
const LEADING_ZERO: &str = "unexpected leading zero";
const TWICE: &str = "duplicate key";

/// Whether the rest of the text reads as it was meant in spite of this error.
fn is_local(error: &Error) -> bool {
    let local = [UNQUOTED, LEADING_ZERO, TWICE];
    local.iter().any(|said| error.message().starts_with(said))
}

fn place(error: &Error, text: &str) -> Range<usize> {
    let place = error.span().unwrap_or(0..0);
    let start = text.floor_char_boundary(place.start.min(text.len()));
    let end = text.ceil_char_boundary(place.end.clamp(start, text.len()));
    start..end
}

fn report(error: &Error, place: Range<usize>, sink: &Sink) {
    sink.incomplete();
    let said = error.message();
    let bad_value = said.starts_with(UNQUOTED) || said.starts_with(LEADING_ZERO);
    let (message, hint) = if bad_value {
        let hint = "a text needs double quotes; a number has no blank, unit or leading zero";
        ("neither a text nor a number", Some(hint.to_owned()))
    } else {
        (said.trim_end_matches(", expected nothing"), None)
    };
    sink.error(Finding {
        place: Some(place),
        message: format!("not TOML: {message}"),
        example: None,
        hint,
    });
}

/// Whether the error is at a header: then it is the section before that has left a bracket open.
fn section_before(text: &str, offset: usize) -> Option<Range<usize>> {
    let line_start = text[..offset].rfind('\n')?;
    let at_header = text[line_start..offset].trim().is_empty() && text[offset..].starts_with('[');
    at_header.then(|| section_around(text, line_start))
}

fn report_open(header: Range<usize>, sink: &Sink) {
    sink.incomplete();
    sink.error(Finding {
        place: Some(header),
        message: "not TOML: a list or an inline table is still open here".to_owned(),
        example: None,
        hint: Some("close it before this header".to_owned()),
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
