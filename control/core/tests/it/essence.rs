//! What of a world makes a difference to its future.
//!
//! Read from its `Debug` text, so that the machine needs no door into its inside: numbers that only have to differ are
//! counted anew from zero, moments are told relative to now, and what is only for receipts is left out.

use std::fmt::Write;

use swap_core::Moment;

use crate::world::World;

/// How far back a moment can still matter, in seconds: no limit of the small world is longer.
const PAST_MAX: i64 = 4;

/// Two worlds with the same text behave in the same way for ever.
pub(crate) fn text(world: &World) -> String {
    let saved = world.app.saved();
    let mut all = String::with_capacity(4096);
    let (plane, probes, begun) = (&world.plane, &world.probes, &world.begun);
    let (command, smoke) = (&world.command, smoke(world));
    let _ = write!(
        all,
        "{:?}{plane:?}{probes:?}{command:?}{smoke:?}{begun:?}",
        world.app
    );
    if world.disk != saved {
        let _ = write!(all, "{:?}", world.disk);
    }
    let text = Essence::of(&all, seconds(world.now));
    if world.app.split().is_some() || saved.rollout.is_some() || saved.blocked.is_some() {
        without_counts(&text)
    } else {
        text
    }
}

/// Whether smoke tests run, and are those that are waited for.
fn smoke(world: &World) -> Option<bool> {
    let (operation, round) = world.smoke.as_ref()?;
    let rollout = world.app.rollout();
    let waits = |rollout: swap_core::Underway<'_>| {
        rollout.operation == operation && rollout.going.round == *round
    };
    Some(rollout.is_some_and(waits))
}

/// Before what only has to differ, and is the same wherever it is said.
const COUNTS: [&str; 4] = ["round: ", "attempt: ", "key: \"", "the judge of operation "];

fn without_counts(text: &str) -> String {
    let without = |text: String, count: &str| {
        let mut parts = text.split(count);
        let mut rest = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            rest.push_str(count);
            rest.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
        }
        rest
    };
    COUNTS.into_iter().fold(text.to_owned(), without)
}

/// A text that is being boiled down.
struct Essence<'a> {
    now: i64,
    /// Kind and name, in the order in which they appeared.
    names: Vec<(&'static str, &'a str)>,
    text: String,
}

/// What is not taken as it is, by the words before its bracket.
const MARKS: [(&str, Mark); 10] = [
    ("Moment(", Mark::Moment),
    ("started: Moment(", Mark::Times),
    ("GateId(", Mark::Name),
    ("ProbeId(", Mark::Name),
    ("OperationId(", Mark::Name),
    ("ReleaseId(", Mark::Name),
    // In the small world a release's name says where it runs.
    ("Tcp(", Mark::Drop(")")),
    ("last_probe: ProbeId(", Mark::Drop(")")),
    ("Generation(", Mark::Drop(")")),
    ("ended: [", Mark::Drop("]")),
];

#[derive(Clone, Copy)]
enum Mark {
    /// Told relative to now.
    Moment,
    /// Told by the order of its first appearance.
    Name,
    /// Left out up to this.
    Drop(&'static str),
    /// When an operation began, and how long its parts took: for its receipt only.
    Times,
}

impl<'a> Essence<'a> {
    fn of(all: &'a str, now: i64) -> String {
        let mut essence = Self {
            now,
            names: Vec::new(),
            text: String::with_capacity(all.len()),
        };
        let mut rest = all;
        while let Some(bracket) = rest.find(['(', '[']) {
            let (before, after) = rest.split_at(bracket + 1);
            essence.text.push_str(before);
            rest = match mark(before) {
                Some((words, mark)) => essence.take(words, mark, after),
                None => after,
            };
        }
        essence.text.push_str(rest);
        essence.text
    }

    fn take(&mut self, words: &'static str, mark: Mark, after: &'a str) -> &'a str {
        match mark {
            Mark::Moment => {
                let (moment, rest) = cut(after, ")");
                let moment = moment.trim_end_matches('s').parse::<i64>().unwrap();
                let _ = write!(self.text, "{}", (moment - self.now).max(-PAST_MAX));
                rest
            }
            Mark::Name => {
                let (name, rest) = cut(after, ")");
                let known = self.names.iter().position(|known| *known == (words, name));
                let number = known.unwrap_or_else(|| {
                    self.names.push((words, name));
                    self.names.len() - 1
                });
                let _ = write!(self.text, "{number}");
                rest
            }
            Mark::Drop(end) => cut(after, end).1,
            Mark::Times => (0..3).fold(after, |rest, _| cut(cut(rest, "Span {").1, "}").1),
        }
    }
}

/// The longest mark that `before` ends with.
fn mark(before: &str) -> Option<(&'static str, Mark)> {
    let marks = MARKS.iter().filter(|(words, _)| before.ends_with(words));
    marks.max_by_key(|(words, _)| words.len()).copied()
}

fn cut<'a>(text: &'a str, end: &str) -> (&'a str, &'a str) {
    text.split_once(end).expect("Debug closes what it opens")
}

fn seconds(moment: Moment) -> i64 {
    let since = moment.since(Moment::default());
    assert_eq!(
        since.subsec_nanos(),
        0,
        "the small world knows whole seconds only"
    );
    i64::try_from(since.as_secs()).unwrap()
}
