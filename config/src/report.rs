//! What is wrong with a file, for people (underlined in the text) and for programs (as JSON).
//!
//! The only file that names annotate-snippets.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::{Serialize, Serializer};

/// One thing that is wrong, as `holdfast check --json` says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Error {
    /// In which file, as it was named.
    pub file: String,
    /// In which line, from 1; line 1, column 1 where the file as a whole is meant.
    pub line: usize,
    /// At which character of the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right there, as it would be written.
    pub example: Option<String>,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

/// Everything that is wrong with a file; at least one thing. `Display` shows it without colour, `Serialize` as a list
/// of [`Error`].
#[derive(Clone, Debug)]
pub struct Errors(pub(crate) Report);

/// What is allowed in a file, but hardly meant; often nothing. `Display` shows it without colour, `Serialize` as a list
/// of [`Error`].
#[derive(Clone, Debug)]
pub struct Warnings(pub(crate) Report);

impl Errors {
    /// In the order of the file; at most a few hundred, then a last one says how many more there are.
    pub fn entries(&self) -> Vec<Error> {
        self.0.entries()
    }

    /// As text for people, with the places underlined; ends with a newline.
    pub fn render(&self, colour: bool) -> String {
        self.0.render(&Level::ERROR, colour)
    }
}

impl Warnings {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.findings.is_empty()
    }

    /// In the order of the file.
    pub fn entries(&self) -> Vec<Error> {
        self.0.entries()
    }

    /// As text for people, with the places underlined; ends with a newline unless empty.
    pub fn render(&self, colour: bool) -> String {
        self.0.render(&Level::WARNING, colour)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Errors {}

impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().serialize(serializer)
    }
}

impl Serialize for Warnings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().serialize(serializer)
    }
}

/// One thing that was found, by its place in octets.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// Nowhere in particular: the file as a whole.
    pub(crate) place: Option<Range<usize>>,
    pub(crate) message: String,
    pub(crate) example: Option<String>,
    pub(crate) hint: Option<String>,
}

/// What was found in one text.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    file: String,
    text: String,
    findings: Vec<Finding>,
}

/// So many findings are kept: beyond, nobody reads on.
const KEPT: usize = 300;

impl Report {
    pub(crate) fn new(file: &str, text: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.place.as_ref().map(|place| place.start));
        let more = findings.len().saturating_sub(KEPT);
        findings.truncate(KEPT);
        if more > 0 {
            findings.push(Finding {
                place: None,
                message: format!("and {more} more"),
                example: None,
                hint: None,
            });
        }
        Self {
            // It is printed as it is, so it must not command a terminal.
            file: file.replace(char::is_control, "\u{fffd}"),
            text: text.to_owned(),
            findings,
        }
    }

    fn entries(&self) -> Vec<Error> {
        self.findings
            .iter()
            .map(|found| self.entry(found))
            .collect()
    }

    fn entry(&self, finding: &Finding) -> Error {
        let start = finding.place.as_ref().map_or(0, |place| place.start);
        let before = &self.text[..floor(&self.text, start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: finding.message.clone(),
            example: finding.example.clone(),
            hint: finding.hint.clone(),
        }
    }

    fn render(&self, level: &Level<'_>, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let shown = self.findings.iter().map(|finding| {
            let group = self.group(finding, level);
            format!("{}\n", renderer.render(&[group]))
        });
        // The renderer takes the other control characters out; these command some terminals too.
        let of_eight_bits = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
        shown
            .collect::<Vec<_>>()
            .join("\n")
            .replace(of_eight_bits, "\u{fffd}")
    }

    fn group<'a>(&'a self, finding: &'a Finding, level: &Level<'a>) -> Group<'a> {
        let title = level.clone().primary_title(&finding.message);
        let mut group = match &finding.place {
            Some(place) => title.element(self.snippet(place.clone(), finding.hint.as_deref())),
            None => title.element(Origin::path(&self.file)),
        };
        let hint_below = finding.hint.as_ref().filter(|_| finding.place.is_none());
        if let Some(hint) = hint_below {
            group = group.element(Level::HELP.message(hint));
        }
        if let Some(example) = &finding.example {
            group = group.element(Level::NOTE.with_name("example").message(example));
        }
        group
    }

    /// The line of the place, with the place underlined as far as it goes in that line.
    fn snippet<'a>(
        &'a self,
        place: Range<usize>,
        hint: Option<&'a str>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let start = floor(&self.text, place.start);
        let end = floor(&self.text, place.end.max(start));
        let line_start = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let within = |offset: usize| (offset - line_start).min(line.len());
        Snippet::source(line)
            .path(&self.file)
            .line_start(self.text[..line_start].matches('\n').count() + 1)
            .annotation(
                AnnotationKind::Primary
                    .span(within(start)..within(end))
                    .label(hint),
            )
    }
}

/// The text as it may be shown: as long in octets, lines and columns, but with nothing to read where the secrets are.
pub(crate) fn without_secrets(text: &str, secrets: &[Range<usize>]) -> String {
    let mut shown = text.to_owned();
    for place in secrets {
        let place = floor(text, place.start)..floor(text, place.end);
        let hidden: String = text[place.clone()].chars().map(hidden).collect();
        shown.replace_range(place, &hidden);
    }
    shown
}

/// Another character of the same length. Quotes stay, so that the line reads as before.
fn hidden(c: char) -> char {
    match (c, c.len_utf8()) {
        ('"' | '\'' | '\n' | '\r', _) => c,
        (_, 1) => '*',
        (_, 2) => '×',
        (_, 3) => '•',
        _ => '🔒',
    }
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}
