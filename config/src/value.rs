//! Reading one value: what it may be, within which limits, and what is said when it is something else.
//!
//! Every reader returns `None` both for a value that is not there and for one that is wrong, and has reported the
//! latter, so that the caller's default keeps the reading going.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use swap_core::{Share, duration};
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use crate::report::Finding;
use crate::size;
use crate::table::Sink;

/// One value of the file, or its absence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    sink: &'t Sink,
    key: &'static str,
    example: &'static str,
    node: Option<&'t Spanned<DeValue<'t>>>,
    /// Not the key's value, but one item of it.
    is_item: bool,
}

impl<'t> Value<'t> {
    pub(crate) fn new(
        sink: &'t Sink,
        key: &'static str,
        example: &'static str,
        node: Option<&'t Spanned<DeValue<'t>>>,
    ) -> Self {
        Self {
            sink,
            key,
            example,
            node,
            is_item: false,
        }
    }

    pub(crate) fn sink(&self) -> &'t Sink {
        self.sink
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Option<Range<usize>> {
        self.node.map(Spanned::span)
    }

    /// The value itself, if it is there.
    pub(crate) fn raw(&self) -> Option<&'t DeValue<'t>> {
        self.node.map(Spanned::get_ref)
    }

    /// `true` or `false`.
    pub(crate) fn flag(self) -> Option<bool> {
        match self.raw()? {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.not("true or false", other),
        }
    }

    /// A whole number.
    pub(crate) fn count(self, limits: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.raw()? {
            DeValue::Integer(number) => number,
            other => return self.not("a whole number", other),
        };
        self.within(whole(number), limits, u64::to_string)
    }

    /// A number from above 0 up to and with 1.
    pub(crate) fn share(self) -> Option<f64> {
        let share = Some(self.real()?).filter(|share| *share > 0.0 && *share <= 1.0);
        share.or_else(|| self.wrong("is above 0 and at most 1"))
    }

    /// A number, whole or with a fraction.
    pub(crate) fn number(self, limits: RangeInclusive<f64>) -> Option<f64> {
        self.within(Some(self.real()?), limits, f64::to_string)
    }

    /// A share of all clients, in per cent.
    pub(crate) fn per_cent(self) -> Option<Share> {
        let text = match self.raw()? {
            DeValue::Float(number) => number.as_str().to_owned(),
            // A negative one is none of ours either, and is shown as it stands there.
            DeValue::Integer(number) => match whole(number) {
                Some(number) => number.to_string(),
                None => number.as_str().to_owned(),
            },
            other => return self.not("a number", other),
        };
        match text.parse() {
            Ok(share) => Some(share),
            Err(error) => self.bad::<Share>(error),
        }
    }

    /// Any number. One below zero that is whole is not a number at all, which is within no limits.
    fn real(&self) -> Option<f64> {
        let number = match self.raw()? {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => whole(number).map(|number| number as f64),
            other => return self.not("a number", other),
        };
        // Zero with a sign would be written with it, and means the same.
        Some(number.unwrap_or(f64::NAN) + 0.0)
    }

    /// A text.
    pub(crate) fn text(self) -> Option<&'t str> {
        match self.raw()? {
            DeValue::String(text) => Some(text),
            other => self.not("a text in quotes", other),
        }
    }

    /// A text that nobody is to be shown, whatever is said about it.
    pub(crate) fn secret(self) -> Option<&'t str> {
        self.sink.secret(self.place());
        self.text()
    }

    /// A text that means something.
    pub(crate) fn parsed<T, E: Display>(
        self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text()?) {
            Ok(meant) => Some(meant),
            Err(error) => self.bad(error),
        }
    }

    /// A duration.
    pub(crate) fn duration(self, limits: RangeInclusive<Duration>) -> Option<Duration> {
        let length = match self.raw()? {
            DeValue::String(text) => match duration::parse(text) {
                Ok(length) => length,
                Err(error) => return self.bad(error),
            },
            other => return self.not("a duration in quotes, with its unit", other),
        };
        self.within(Some(length), limits, |limit| {
            duration::text(*limit).to_string()
        })
    }

    /// A size in octets.
    pub(crate) fn size(self, limits: RangeInclusive<u64>) -> Option<u64> {
        let octets = match self.raw()? {
            DeValue::String(text) => match size::parse_size(text) {
                Ok(octets) => octets,
                Err(error) => return self.bad(error),
            },
            other => return self.not("a size in quotes, with its unit", other),
        };
        self.within(Some(octets), limits, |limit| size::text(*limit))
    }

    /// The items of a list, of which there may be at most `max`; a missing list has none. Wrong items are the
    /// reader's to report: each is a value of its own.
    pub(crate) fn items(self, max: usize) -> Vec<Value<'t>> {
        let items = match self.raw() {
            None => return Vec::new(),
            Some(DeValue::Array(items)) => items,
            Some(other) => {
                let _: Option<()> = self.not("a list", other);
                return Vec::new();
            }
        };
        if items.len() > max {
            let _: Option<()> =
                self.wrong(&format!("has at most {max} items, not {}", items.len()));
        }
        let items = items.iter().take(max);
        items
            .map(|item| Self {
                node: Some(item),
                is_item: true,
                ..self
            })
            .collect()
    }

    /// Reports that the value breaks a rule: `max_share` *is above 0 and at most 1*.
    pub(crate) fn wrong<T>(&self, rule: &str) -> Option<T> {
        let item = if self.is_item { "an item of " } else { "" };
        self.report(format!("{item}`{}` {rule}", self.key))
    }

    /// Reports that the text could not be understood, and why.
    fn bad<T>(&self, why: impl Display) -> Option<T> {
        self.report(format!("bad value for `{}`: {why}", self.key))
    }

    /// Reports a value of another type.
    pub(crate) fn not<T>(&self, expected: &str, found: &DeValue<'_>) -> Option<T> {
        self.wrong(&format!("is {expected}, not {}", kind(found)))
    }

    fn report<T>(&self, message: String) -> Option<T> {
        self.sink.error(Finding {
            place: self.place(),
            message,
            example: Some(format!("{} = {}", self.key, self.example)),
            hint: None,
        });
        None
    }

    /// Allows what is not forbidden, but says that it is hardly meant.
    pub(crate) fn warn(&self, message: String, hint: &str) {
        self.sink.warning(Finding {
            place: self.place(),
            message,
            example: None,
            hint: Some(hint.to_owned()),
        });
    }

    fn within<T: PartialOrd>(
        &self,
        value: Option<T>,
        limits: RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> Option<T> {
        let value = value.filter(|value| limits.contains(value));
        value.or_else(|| {
            let (least, most) = (show(limits.start()), show(limits.end()));
            self.wrong(&format!("is from {least} to {most}"))
        })
    }
}

/// A whole number that is not negative and fits; the parser has taken the underscores out.
fn whole(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What kind of value it is, in words.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
