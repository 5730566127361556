//! No text makes the reader panic, hang or contradict itself.

use holdfast_config::Settings;

use crate::toml_files;

const ROUNDS: u64 = 20_000;

/// What breaks TOML in interesting ways.
const SPICE: [&str; 20] = [
    "[",
    "]",
    "[[",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\r\n",
    "\0",
    "é",
    "\u{feff}",
    "\\u",
    "[app.",
    "99999999999999999999",
];

#[test]
fn no_mutation_of_a_sound_file_makes_the_reader_panic() {
    let seed = std::env::var("HOLDFAST_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("replay: HOLDFAST_SEED={seed} cargo test -p holdfast-config mutation");
    let mut random = fastrand::Rng::with_seed(seed);
    let files = toml_files("examples");
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let (_, text) = &files[random.usize(..files.len())];
        let mutant = mutate(text, &mut random);
        if asks_for_a_name(&mutant, text) {
            continue;
        }
        refused += u32::from(is_refused(&mutant));
    }
    println!("{refused} of {ROUNDS} refused");
    assert!(refused > 10_000, "only {refused} mutants were refused");
}

/// Reads the text, and looks at everything that is said about it.
fn is_refused(text: &str) -> bool {
    match Settings::parse(text, "holdfast.toml") {
        Ok(checked) => {
            checked.warnings.render(true);
            assert!(!checked.settings.listen.is_empty() && !checked.settings.apps.is_empty());
            false
        }
        Err(errors) => {
            let entries = errors.entries();
            assert!(!entries.is_empty());
            assert!(!errors.render(true).is_empty());
            let lines = text.matches('\n').count() + 1;
            assert!(
                entries
                    .iter()
                    .all(|e| (1..=lines).contains(&e.line) && e.column > 0)
            );
            true
        }
    }
}

fn mutate(text: &str, random: &mut fastrand::Rng) -> String {
    let mut octets = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..octets.len());
        let end = (at + random.usize(..30)).min(octets.len());
        match random.u8(..5) {
            0 => drop(octets.drain(at..end)),
            1 => octets[at] = random.u8(..),
            2 => drop(octets.splice(at..at, random.choice(SPICE).unwrap().bytes())),
            3 => drop(octets.splice(at..end, random.choice(SPICE).unwrap().bytes())),
            _ => {
                let copy = octets[at..end].to_vec();
                let to = random.usize(..octets.len());
                drop(octets.splice(to..to, copy));
            }
        }
        if octets.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Whether a mutant contains an address that the file did not: it might be looked up, and this test asks nobody.
fn asks_for_a_name(mutant: &str, text: &str) -> bool {
    let of_address = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_');
    let tokens = |text: &'_ str| -> Vec<String> {
        let tokens = text.split(|c| !of_address(c));
        tokens
            .filter(|t| t.contains(':'))
            .map(str::to_owned)
            .collect()
    };
    let known = tokens(text);
    tokens(mutant).iter().any(|token| !known.contains(token))
}

#[test]
fn deep_nesting_is_refused_quickly() {
    for text in [
        "[".repeat(100_000),
        "a.".repeat(100_000),
        "a={".repeat(100_000),
    ] {
        assert!(is_refused(&text));
    }
}

#[test]
fn a_file_of_broken_sections_is_refused_quickly() {
    assert!(is_refused(&"[app\n".repeat(20_000)));
}
