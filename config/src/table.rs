//! Reading a TOML table key by key, collecting everything that is wrong instead of stopping at the first.
//!
//! A table knows which keys were asked for: when it [ends](Table::end), what is left over is unknown. So the keys are
//! written down in one place only, where they are read. A table that is not in the file reads like an empty one.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::Finding;
use crate::value::{Value, kind};

/// Where everything that is found ends up.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    errors: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
    secrets: RefCell<Vec<Range<usize>>>,
    /// A part of the file could not be read, so that nothing can be said to be missing.
    incomplete: Cell<bool>,
}

impl Sink {
    pub(crate) fn error(&self, finding: Finding) {
        self.errors.borrow_mut().push(finding);
    }

    pub(crate) fn warning(&self, finding: Finding) {
        self.warnings.borrow_mut().push(finding);
    }

    /// What stands there is not to be shown.
    pub(crate) fn secret(&self, place: Option<Range<usize>>) {
        self.secrets.borrow_mut().extend(place);
    }

    /// Something that has to be there is not; `place` is where one would look for it.
    pub(crate) fn missing(&self, place: Option<Range<usize>>, message: String, example: &str) {
        if !self.incomplete.get() {
            self.error(Finding {
                place,
                message,
                example: Some(example.to_owned()),
                hint: None,
            });
        }
    }

    /// From now on nothing is missing.
    pub(crate) fn incomplete(&self) {
        self.incomplete.set(true);
    }

    /// Whether a part of the file could not be read.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete.get()
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors.borrow().len()
    }

    /// Errors, warnings, and where the secrets are.
    pub(crate) fn into_findings(self) -> (Vec<Finding>, Vec<Finding>, Vec<Range<usize>>) {
        let Self {
            errors,
            warnings,
            secrets,
            incomplete: _,
        } = self;
        let secrets = secrets.into_inner();
        (errors.into_inner(), warnings.into_inner(), secrets)
    }
}

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    pub(crate) sink: &'t Sink,
    /// `app.web.hold`; empty for the whole file.
    name: String,
    /// Whether it may stand several times: `[[listen]]`.
    repeats: bool,
    /// Its header, or the braces of an inline table.
    place: Option<Range<usize>>,
    entries: Option<&'t DeTable<'t>>,
    known: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// The file as a whole.
    pub(crate) fn root(sink: &'t Sink, entries: &'t DeTable<'t>) -> Self {
        Self {
            sink,
            name: String::new(),
            repeats: false,
            place: None,
            entries: Some(entries),
            known: Vec::new(),
        }
    }

    fn new(sink: &'t Sink, name: String, node: Option<&'t Spanned<DeValue<'t>>>) -> Self {
        let entries = match node.map(Spanned::get_ref) {
            None => None,
            Some(DeValue::Table(entries)) => Some(entries),
            Some(other) => {
                sink.error(Finding {
                    place: node.map(Spanned::span),
                    message: format!("`{name}` is a table, not {}", kind(other)),
                    example: Some(format!("[{name}]")),
                    hint: None,
                });
                None
            }
        };
        Self {
            sink,
            name,
            repeats: false,
            place: node.map(Spanned::span),
            entries,
            known: Vec::new(),
        }
    }

    /// Whether it is in the file.
    pub(crate) fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    /// Where its header is.
    pub(crate) fn place(&self) -> Option<Range<usize>> {
        self.place.clone()
    }

    /// Where the value of `key` is, if it is in the file.
    pub(crate) fn place_of(&self, key: &str) -> Option<Range<usize>> {
        self.entries?.get(key).map(Spanned::span)
    }

    /// The value of `key`, which may be missing. `example` is a right value, as it would be written.
    pub(crate) fn value(&mut self, key: &'static str, example: &'static str) -> Value<'t> {
        Value::new(self.sink, key, example, self.node(key))
    }

    /// Says that `key` has to be there, if it is not.
    pub(crate) fn needs(&self, key: &str, example: &str) {
        if self.is_present() && self.place_of(key).is_none() {
            let message = format!("{} has no `{key}`", self.header());
            self.sink
                .missing(self.place(), message, &format!("{key} = {example}"));
        }
    }

    /// The table `key` within this one, which may be missing.
    pub(crate) fn table(&mut self, key: &'static str) -> Self {
        let node = self.node(key);
        Self::new(self.sink, self.name_of(key), node)
    }

    /// The tables under `key`, each with its name and the name's place: `[app.web]`, `[app.api]`.
    pub(crate) fn named_tables(&mut self, key: &'static str) -> Vec<(Spanned<&'t str>, Self)> {
        let outer = self.table(key);
        let entries = outer.entries.into_iter().flat_map(DeTable::iter);
        let named = entries.map(|(name, node)| {
            let table = Self::new(self.sink, outer.name_of(name.get_ref()), Some(node));
            (Spanned::new(name.span(), name.get_ref().as_ref()), table)
        });
        named.collect()
    }

    /// The tables of an array of tables: `[[listen]]`.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let name = self.name_of(key);
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        if let DeValue::Array(items) = node.get_ref() {
            let tables = items.iter();
            return tables
                .map(|item| Self {
                    repeats: true,
                    ..Self::new(self.sink, name.clone(), Some(item))
                })
                .collect();
        }
        self.sink.error(Finding {
            place: Some(node.span()),
            message: format!("`{name}` may stand several times, so it is an array of tables"),
            example: Some(format!("[[{name}]]")),
            hint: Some("two brackets on either side".to_owned()),
        });
        Vec::new()
    }

    /// Every key has been asked for: what else is there is unknown.
    pub(crate) fn end(self) {
        for (key, _) in self.entries.into_iter().flat_map(DeTable::iter) {
            let text = key.get_ref().as_ref();
            if self.known.contains(&text) {
                continue;
            }
            let shown: String = text.chars().take(60).collect();
            let place = match self.name.as_str() {
                "" => String::new(),
                _ => format!(" in {}", self.header()),
            };
            self.sink.error(Finding {
                place: Some(key.span()),
                message: format!("unknown key `{shown}`{place}"),
                example: None,
                hint: Some(meant(text, &self.known)),
            });
        }
    }

    /// As [`Table::end`], where what is unknown may be a secret under a wrong name.
    pub(crate) fn end_among_secrets(self) {
        for (key, node) in self.entries.into_iter().flat_map(DeTable::iter) {
            if !self.known.contains(&key.get_ref().as_ref()) {
                self.sink.secret(Some(node.span()));
            }
        }
        self.end();
    }

    fn node(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        // What may be one thing or another is asked for more than once.
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries?.get(key)
    }

    /// As it is written in the file: `[app.web]`, `[[listen]]`.
    pub(crate) fn header(&self) -> String {
        if self.repeats {
            format!("[[{}]]", self.name)
        } else {
            format!("[{}]", self.name)
        }
    }

    fn name_of(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            outer => format!("{outer}.{key}"),
        }
    }
}

/// The known key that was probably meant, else all of them.
fn meant(text: &str, known: &[&'static str]) -> String {
    let text = text
        .get(..60)
        .unwrap_or(text)
        .to_lowercase()
        .replace('-', "_");
    let distance = |key: &&&str| strsim::damerau_levenshtein(key, &text);
    let nearest = known.iter().min_by_key(distance);
    match nearest.filter(|key| distance(key) <= (key.len() / 3).max(1)) {
        Some(key) => format!("did you mean `{key}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
