//! The user's guide and the parser know the same keys, defaults and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_config::{Settings, parse_duration, parse_size};

use crate::folder;

/// One line of a table of the guide.
#[derive(Debug)]
struct Row {
    table: String,
    key: String,
    default: Option<String>,
    limits: Option<(String, String)>,
}

/// Every key of the guide.
fn rows() -> Vec<Row> {
    let guide = std::fs::read_to_string(folder(".").join("README.md")).unwrap();
    let mut table = None;
    let mut rows = Vec::new();
    for line in guide.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading
                .strip_prefix("`[")
                .and_then(|rest| rest.strip_suffix("]`"));
            table = name.map(|name| name.trim_matches(['[', ']']).replace("NAME", "web"));
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let key = cells.get(1).and_then(|cell| cell.strip_prefix('`'));
        if let (Some(table), Some(key)) = (&table, key) {
            rows.push(Row {
                table: table.clone(),
                key: key.trim_end_matches('`').to_owned(),
                default: cells[3]
                    .strip_prefix('`')
                    .map(|d| d.trim_end_matches('`').to_owned()),
                limits: limits(cells[4]),
            });
        }
    }
    rows
}

/// `1 to 100`, and nothing else.
fn limits(cell: &str) -> Option<(String, String)> {
    let (least, most) = cell.split_once(" to ")?;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    (plain(least) && plain(most)).then(|| (least.to_owned(), most.to_owned()))
}

/// Every table of the guide, with its keys.
fn tables() -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = BTreeMap::<_, BTreeSet<_>>::new();
    for row in rows() {
        tables.entry(row.table).or_default().insert(row.key);
    }
    tables
}

const SMALLEST: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\n[app.web]\n";

fn header(table: &str) -> String {
    match table {
        "listen" | "app.web.cohort" => format!("[[{table}]]"),
        _ => format!("[{table}]"),
    }
}

/// What the parser says it knows in a table: it lists it for a key that resembles none.
fn known_to_the_parser(table: &str) -> BTreeSet<String> {
    let base = SMALLEST.replace("[app.web]\n", "");
    let text = format!("{base}{}\nqqqqqqqqqqqqqqqqqqqq = 1\n", header(table));
    let errors = Settings::parse(&text, "holdfast.toml").unwrap_err();
    let hints = errors.entries().into_iter().filter_map(|entry| entry.hint);
    let lists: Vec<_> = hints
        .filter_map(|hint| hint.strip_prefix("known here: ").map(str::to_owned))
        .collect();
    assert_eq!(lists.len(), 1, "{errors}");
    lists[0].split(", ").map(str::to_owned).collect()
}

#[test]
fn the_guide_has_every_key_that_the_parser_knows_and_no_other() {
    let tables = tables();
    assert_eq!(tables.len(), 16, "{tables:?}");
    for (table, keys) in &tables {
        let prefix = format!("{table}.");
        let is_table = |key: &String| tables.contains_key(&format!("{prefix}{key}"));
        let mut known = known_to_the_parser(table);
        known.retain(|key| !is_table(key));
        assert_eq!(&known, keys, "[{table}]");
    }
}

#[test]
fn the_guide_has_every_table_that_the_parser_knows() {
    let root = "qqqqqqqqqqqqqqqqqqqq = 1\n".to_owned() + SMALLEST;
    let hint = Settings::parse(&root, "")
        .unwrap_err()
        .entries()
        .remove(0)
        .hint;
    assert_eq!(
        hint.unwrap(),
        "known here: server, listen, limits, control, admin, acme, app"
    );
}

#[test]
fn the_defaults_of_the_guide_are_the_defaults() {
    let mut text = SMALLEST.to_owned();
    let mut written = 0;
    for table in [
        "server",
        "limits",
        "control",
        "app.web",
        "app.web.upstream",
        "app.web.probe",
        "app.web.hold",
        "app.web.timeouts",
        "app.web.canary",
    ] {
        if table != "app.web" {
            text += &format!("[{table}]\n");
        }
        for row in rows().iter().filter(|row| row.table == table) {
            if let Some(default) = &row.default {
                text += &format!("{} = {default}\n", row.key);
                written += 1;
            }
        }
        if ["server", "limits", "control"].contains(&table) {
            // [app.web] came first, so these go in front of it.
            text = text.replacen(SMALLEST, "", 1) + SMALLEST;
        }
    }
    assert!(written > 35, "only {written} defaults in the guide");
    let explicit = Settings::parse(&text, "guide.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let smallest = Settings::parse(SMALLEST, "smallest.toml").unwrap();
    assert_eq!(explicit.settings, smallest.settings);
}

#[test]
fn the_limits_of_the_guide_are_the_limits() {
    let rows = rows();
    let limited: Vec<_> = rows.iter().filter(|row| row.limits.is_some()).collect();
    assert!(limited.len() >= 22, "{limited:?}");
    for row in limited {
        let (least, most) = row.limits.as_ref().unwrap();
        for (value, inside) in around(least, most) {
            let entries = said_about(row, &value);
            let outside = entries
                .iter()
                .any(|e| e.contains(&format!("{} is from", row.key)));
            assert_eq!(!outside, inside, "{} = {value}: {entries:?}", row.key);
        }
    }
}

/// What is said about a value of a key, without the quotes around the key.
fn said_about(row: &Row, value: &str) -> Vec<String> {
    let text = format!(
        "{}[{}]\n{} = {value}\n",
        SMALLEST.replace("[app.web]\n", ""),
        row.table,
        row.key
    );
    match Settings::parse(&text, "holdfast.toml") {
        Ok(_) => Vec::new(),
        Err(errors) => {
            let entries = errors.entries().into_iter();
            entries
                .map(|entry| entry.message.replace('`', ""))
                .collect()
        }
    }
}

/// The limits themselves and their neighbours, as TOML, each with whether it is inside.
fn around(least: &str, most: &str) -> Vec<(String, bool)> {
    if let (Ok(least), Ok(most)) = (least.parse::<i64>(), most.parse::<i64>()) {
        let numbers = [
            (least - 1, false),
            (least, true),
            (most, true),
            (most + 1, false),
        ];
        return numbers.map(|(n, inside)| (n.to_string(), inside)).into();
    }
    if let (Ok(least), Ok(most)) = (least.parse::<f64>(), most.parse::<f64>()) {
        let numbers = [
            (least * 0.999, false),
            (least, true),
            (most, true),
            (most * 1.001, false),
        ];
        return numbers.map(|(n, inside)| (n.to_string(), inside)).into();
    }
    let quoted = |text: String| format!("{text:?}");
    if let (Ok(least), Ok(most)) = (parse_size(least), parse_size(most)) {
        let sizes = [
            (least - 1, false),
            (least, true),
            (most, true),
            (most + 1, false),
        ];
        return sizes
            .map(|(n, inside)| (quoted(format!("{n}B")), inside))
            .into();
    }
    let ms = |text: &str| {
        parse_duration(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .as_millis()
    };
    let step = Duration::from_millis(1).as_millis();
    let (least, most) = (ms(least), ms(most));
    let below = least.checked_sub(step).map(|below| (below, false));
    let durations = [(least, true), (most, true), (most + step, false)];
    let durations = below.into_iter().chain(durations);
    durations
        .map(|(n, inside)| (quoted(format!("{n}ms")), inside))
        .collect()
}
