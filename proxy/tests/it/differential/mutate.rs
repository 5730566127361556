//! Mutants of the conformance cases: what a client might say, and no client should.
//!
//! A seed makes the same mutants for ever, one after the other, so that a failure can be played again.

use fastrand::Rng;

use super::vary::{another_body, another_field, another_method, another_target};
use crate::conformance::case;

/// Longer cases are about limits, which no mutation tells more of.
const SEED_BYTES_MAX: usize = 1024;
/// A mutant has at most so many changes before its mutations.
const CHANGES_MAX: usize = 3;
/// A mutant has at most so many mutations.
const MUTATIONS_MAX: usize = 2;

/// Octets that readers of HTTP disagree about.
const SPICE: [u8; 16] = *b"\0\t\r\n\x0b\x0c\x7f\xff ;,:+-0\"";
/// Ends of lines, and what some take for one.
const LINE_ENDS: [&[u8]; 6] = [b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b" \r\n", b"\r\n "];
/// What stands in field names that should not be there.
const ODD_IN_NAMES: [&[u8]; 10] = [
    b" ", b"\t", b"_", b"\0", b"\x0b", b"\xff", b"\r", b"(", b":", b"\x80",
];

type Change = fn(&mut Vec<u8>, &mut Rng);

/// What leaves a request sound, mostly.
const CHANGES: [Change; 5] = [
    another_body,
    another_field,
    another_field,
    another_method,
    another_target,
];

type Mutation = fn(&mut Vec<u8>, &Seeds, &mut Rng);

/// What seldom does.
const MUTATIONS: [Mutation; 14] = [
    flip,
    insert,
    insert,
    remove,
    repeat_line,
    drop_line,
    swap_lines,
    splice,
    change_case,
    change_number,
    change_number,
    change_line_end,
    spoil_name,
    join,
];

/// The cases that mutants are made of.
struct Seeds {
    all: Vec<Vec<u8>>,
    /// Those that are forwarded as they stand: small changes of them are, too.
    sound: Vec<Vec<u8>>,
}

/// Makes mutants without end.
pub(super) struct Mutants {
    seeds: Seeds,
    random: Rng,
}

impl Mutants {
    pub(super) fn of_seed(seed: u64) -> Self {
        let cases = case::requests().into_iter();
        let cases = cases.filter(|it| it.timeout_s.is_none() && it.raw.0.len() <= SEED_BYTES_MAX);
        let (mut all, mut sound) = (Vec::new(), Vec::new());
        for case in cases {
            if case.expect == "forward_once" {
                sound.push(case.raw.0.clone());
            }
            all.push(case.raw.0);
        }
        Self {
            seeds: Seeds { all, sound },
            random: Rng::with_seed(seed),
        }
    }
}

impl Iterator for Mutants {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        // One of its own for each mutant: a change of one mutation leaves most mutants as they are.
        let mut random = self.random.fork();
        let mut octets = self.seeds.any(&mut random).to_vec();
        let changes = random.usize(..=CHANGES_MAX);
        for _ in 0..changes {
            CHANGES[random.usize(..CHANGES.len())](&mut octets, &mut random);
        }
        // Whoever was not changed is mutated: nobody stays a case.
        for _ in 0..random.usize(usize::from(changes == 0)..=MUTATIONS_MAX) {
            MUTATIONS[random.usize(..MUTATIONS.len())](&mut octets, &self.seeds, &mut random);
        }
        Some(octets)
    }
}

impl Seeds {
    fn any(&self, random: &mut Rng) -> &[u8] {
        let from = if random.u8(..4) > 0 {
            &self.sound
        } else {
            &self.all
        };
        &from[random.usize(..from.len())]
    }
}

/// One bit is another.
#[expect(clippy::ptr_arg, reason = "a Mutation, and others change the length")]
fn flip(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    if let Some(octet) = random.choice(octets.iter_mut()) {
        *octet ^= 1 << random.u8(..8);
    }
}

fn insert(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    let at = random.usize(..=octets.len());
    octets.insert(at, SPICE[random.usize(..SPICE.len())]);
}

fn remove(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    if !octets.is_empty() {
        octets.remove(random.usize(..octets.len()));
    }
}

fn repeat_line(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    change_lines(octets, random, |lines, at, _| {
        lines.insert(at, lines[at].clone());
    });
}

fn drop_line(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    change_lines(octets, random, |lines, at, _| drop(lines.remove(at)));
}

fn swap_lines(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    change_lines(octets, random, |lines, at, random| {
        let other = random.usize(..lines.len());
        lines.swap(at, other);
    });
}

fn change_line_end(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    change_lines(octets, random, |lines, at, random| {
        let line = &mut lines[at];
        while line.last().is_some_and(|last| b"\r\n".contains(last)) {
            line.pop();
        }
        line.extend_from_slice(LINE_ENDS[random.usize(..LINE_ENDS.len())]);
    });
}

/// An odd octet before, in, or behind a field's name.
fn spoil_name(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    change_lines(octets, random, |lines, at, random| {
        let line = &mut lines[at];
        let name = line.iter().position(|octet| *octet == b':').unwrap_or(0);
        let at = random.usize(..=name);
        let odd = ODD_IN_NAMES[random.usize(..ODD_IN_NAMES.len())];
        line.splice(at..at, odd.iter().copied());
    });
}

/// The beginning of this, and the end of another.
fn splice(octets: &mut Vec<u8>, seeds: &Seeds, random: &mut Rng) {
    let other = seeds.any(random);
    octets.truncate(random.usize(..=octets.len()));
    octets.extend_from_slice(&other[random.usize(..=other.len())..]);
}

/// Another right behind it, or before it.
fn join(octets: &mut Vec<u8>, seeds: &Seeds, random: &mut Rng) {
    let at = if random.bool() { 0 } else { octets.len() };
    octets.splice(at..at, seeds.any(random).iter().copied());
}

/// One letter of the other case.
#[expect(clippy::ptr_arg, reason = "a Mutation, and others change the length")]
fn change_case(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    let letters = octets.iter_mut().filter(|it| it.is_ascii_alphabetic());
    if let Some(letter) = random.choice(letters.collect::<Vec<_>>()) {
        *letter ^= 0x20;
    }
}

/// One number is another, or is written in another way.
fn change_number(octets: &mut Vec<u8>, _: &Seeds, random: &mut Rng) {
    let starts_here = |at: &usize| {
        octets[*at].is_ascii_digit() && (*at == 0 || !octets[*at - 1].is_ascii_digit())
    };
    let starts: Vec<usize> = (0..octets.len()).filter(starts_here).collect();
    let Some(from) = random.choice(starts) else {
        return;
    };
    let digits = octets[from..].iter().take_while(|it| it.is_ascii_digit());
    let end = from + digits.count();
    let digits = String::from_utf8_lossy(&octets[from..end]).into_owned();
    let written = another(&digits, random);
    octets.splice(from..end, written.into_bytes());
}

fn another(digits: &str, random: &mut Rng) -> String {
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    match random.u8(..12) {
        0 | 1 => number.wrapping_add(1).to_string(),
        2 | 3 => number.wrapping_sub(1).to_string(),
        4 => format!("{number:x}"),
        5 => format!("0x{digits}"),
        6 => format!("+{digits}"),
        7 => format!("-{digits}"),
        8 => format!("00{digits}"),
        9 => format!("{digits}, {digits}"),
        10 => format!("{digits};a=b"),
        _ => format!("{digits}0000000000000000"),
    }
}

/// Takes the octets apart at every LF, and puts them together again.
fn change_lines(
    octets: &mut Vec<u8>,
    random: &mut Rng,
    change: impl FnOnce(&mut Vec<Vec<u8>>, usize, &mut Rng),
) {
    let lines = octets.split_inclusive(|octet| *octet == b'\n');
    let mut lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let at = random.usize(..lines.len());
    change(&mut lines, at, random);
    *octets = lines.concat();
}

#[test]
fn a_seed_makes_the_same_mutants_for_ever() {
    let some = |seed| Mutants::of_seed(seed).take(100).collect::<Vec<_>>();
    assert_eq!(some(1), some(1));
    assert_ne!(some(1), some(2));
}
