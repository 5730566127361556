//! House rules that no compiler knows, kept by reading the source tree.

#![allow(clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// More lines than this, and a file has more than one job.
const LINES_MAX: usize = 500;

/// A file of the tree: where it is, seen from the root of the workspace, and what it says.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// This file knows all the forbidden words.
    fn is_this_one(&self) -> bool {
        self.path == "proxy/tests/tidy.rs"
    }

    /// The numbered lines that are more than a comment.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..).map(|(line, at)| (at, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file of the tree, without what git and cargo keep there.
fn tree() -> Vec<File> {
    let mut files = Vec::new();
    walk(&root(), "", &mut files);
    assert!(files.len() > 100, "only {} files found", files.len());
    files
}

fn walk(root: &Path, under: &str, files: &mut Vec<File>) {
    let directory = root.join(under);
    for entry in fs::read_dir(&directory).expect("a directory of the tree") {
        let entry = entry.expect("an entry of the tree");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if under.is_empty() {
            name.clone()
        } else {
            format!("{under}/{name}")
        };
        let kind = entry.file_type().expect("a kind of entry");
        // What a fuzzer has made up may say anything.
        let made_up = matches!(path.as_str(), "fuzz/corpus" | "fuzz/artifacts");
        if made_up || matches!(name.as_str(), "target" | ".git") {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, files);
        } else if kind.is_file() {
            // What is no text has no words to forbid.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(File { path, text });
            }
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of the proxy itself whose code has `word` in it.
fn proxy_files_that_name(word: &str) -> BTreeSet<String> {
    let names_it = |file: &File| file.code().any(|(_, line)| line.contains(word));
    let own = |file: &File| file.is_rust() && file.path.starts_with("proxy/src/");
    let files = tree()
        .into_iter()
        .filter(|file| own(file) && names_it(file));
    files.map(|file| file.path).collect()
}

/// `path:line` of every line of code outside this file of which `breaks` is true.
fn offences(breaks: impl Fn(&File, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree().iter().filter(|file| !file.is_this_one()) {
        let lines = file.code().filter(|(_, line)| breaks(file, line));
        found.extend(lines.map(|(at, line)| format!("{}:{at}: {}", file.path, line.trim())));
    }
    found
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn only_the_table_names_arc_swap() {
    let expected = BTreeSet::from(["proxy/src/table.rs".to_owned()]);
    assert_eq!(proxy_files_that_name("arc_swap"), expected);
}

#[test]
fn only_the_tls_step_names_rustls() {
    let expected = [
        "authority",
        "certificates",
        "challenge",
        "issued",
        "outward",
        "tickets",
    ];
    let expected = expected.map(|name| format!("proxy/src/tls/{name}.rs"));
    let expected = expected.into_iter().chain(["proxy/src/tls.rs".to_owned()]);
    assert_eq!(proxy_files_that_name("rustls"), expected.collect());
}

#[test]
fn socket_options_are_set_in_four_places() {
    let expected = ["keepalive", "listen", "listeners", "upstream/open"];
    let expected = expected.map(|name| format!("proxy/src/{name}.rs"));
    assert_eq!(proxy_files_that_name("socket2"), BTreeSet::from(expected));
}

#[test]
fn only_the_way_loads_the_table() {
    let expected = BTreeSet::from(["proxy/src/way.rs".to_owned()]);
    assert_eq!(proxy_files_that_name("tables.load("), expected);
}

#[test]
fn the_code_map_has_every_file() {
    let map = read("ARCHITECTURE.md");
    let mut missing = Vec::new();
    for place in [
        "proxy/src",
        "control/src",
        "control/core/src",
        "control/judge/src",
    ] {
        let section = section(&map, place);
        let inside = |file: &File| Some(file.path.strip_prefix(place)?[1..].to_owned());
        let names = tree().into_iter().filter(File::is_rust);
        // A directory is told by the file beside it, a crate's entry by the crate.
        let names = names
            .filter_map(|file| inside(&file))
            .filter(|name| !name.contains('/') && !matches!(name.as_str(), "lib.rs" | "main.rs"));
        let unnamed = names.filter(|name| !section.contains(&format!("`{name}`")));
        missing.extend(unnamed.map(|name| format!("{place}/{name}")));
    }
    assert_none(&missing, "not in the code map of ARCHITECTURE.md");
}

/// What stands under the heading of `place`, up to the next heading.
fn section<'a>(map: &'a str, place: &str) -> &'a str {
    let heading = format!("### `{place}`\n");
    let (_, below) = map
        .split_once(&heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    below.split("\n##").next().unwrap_or(below)
}

#[test]
fn the_readme_has_every_metric() {
    let (metrics, readme) = (read("proxy/src/metrics.rs"), read("README.md"));
    let quoted = metrics.split('"').filter(|text| is_metric(text));
    let names: BTreeSet<_> = quoted.collect();
    assert!(names.len() > 10, "only {} metrics found", names.len());
    let missing: Vec<_> = names
        .into_iter()
        // The two halves of a summary are told with their family.
        .filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"))
        .filter(|name| !readme.contains(name))
        .map(str::to_owned)
        .collect();
    assert_none(&missing, "metrics that README.md does not tell");
}

fn is_metric(text: &str) -> bool {
    let letters = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.strip_prefix("holdfast_").is_some_and(letters)
}

#[test]
fn every_promise_names_tests_that_exist() {
    let files = tree();
    // `package::module::test`
    let exists = |name: &str| {
        let mut parts = name.rsplit("::");
        let test = format!("fn {}(", parts.next().unwrap_or_default());
        let module = format!("/{}.rs", parts.next().unwrap_or_default());
        files
            .iter()
            .any(|file| file.path.ends_with(&module) && file.text.contains(&test))
    };
    let promises = read("PROMISES.md") + &read("SECURITY.md");
    let named = promises.lines().filter(|line| line.starts_with('|'));
    let named = named.flat_map(|line| line.split('`').filter(|text| text.contains("::")));
    let named: Vec<_> = named.collect();
    assert!(named.len() > 20, "only {} tests are named", named.len());
    let missing = named.into_iter().filter(|name| !exists(name));
    let missing: Vec<_> = missing.map(str::to_owned).collect();
    assert_none(
        &missing,
        "tests of PROMISES.md and SECURITY.md that do not exist",
    );
}

#[test]
fn every_fault_has_a_test_and_every_such_test_is_told() {
    let files = tree();
    let is_of_faults = |file: &&File| file.path.starts_with("proxy/tests/it/faults/");
    let texts = files.iter().filter(is_of_faults).map(|file| &file.text);
    let functions = texts.flat_map(|text| text.split("async fn ").skip(1));
    let names = functions.filter_map(|text| text.split('(').next());
    let is_of_fault = |name: &&str| {
        let number = name.strip_prefix('f').and_then(|rest| rest.get(..2));
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    };
    let tests: Vec<_> = names.filter(is_of_fault).collect();
    let has_test = |number: &u8| {
        let number = format!("f{number:02}");
        tests
            .iter()
            .any(|name| name.split('_').any(|part| part == number))
    };
    let missing = (1..=27).filter(|number| !has_test(number));
    let missing: Vec<_> = missing.map(|number| format!("F{number}")).collect();
    assert_none(&missing, "faults without a test");
    let promises = read("PROMISES.md");
    let untold = tests
        .iter()
        .filter(|name| !promises.contains(&format!("::{name}`")));
    let untold: Vec<_> = untold.map(|name| (*name).to_owned()).collect();
    assert_none(&untold, "tests of faults that are not in PROMISES.md");
}

#[test]
fn tests_have_deadlines_instead_of_sleeps() {
    let is_test = |file: &File| file.is_rust() && file.path.contains("/tests/");
    let found = offences(|file, line| is_test(file) && line.contains("thread::sleep"));
    assert_none(&found, "sleeps");
}

#[test]
fn whoever_ignores_a_test_says_why() {
    let found = offences(|file, line| file.is_rust() && line.contains("#[ignore]"));
    assert_none(&found, "ignored without a reason");
}

#[test]
fn no_file_is_too_long() {
    let long = tree().into_iter().filter_map(|file| {
        let lines = file.text.lines().count();
        (file.is_rust() && lines > LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    });
    assert_none(&long.collect::<Vec<_>>(), "split these by their jobs");
}

#[test]
fn nothing_tells_of_the_place_where_it_was_written() {
    let told = ["/work/", "../shared"];
    let tells = |file: &&File| told.iter().any(|place| file.text.contains(place));
    let files = tree();
    let found = files.iter().filter(|file| !file.is_this_one());
    let found: Vec<_> = found.filter(tells).map(|file| file.path.clone()).collect();
    assert_none(&found, "paths of one machine");
}
