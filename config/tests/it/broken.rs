//! What people see when a file is wrong: every error at once, where it is, what would be right.

use holdfast_config::{Overrides, Settings};

use crate::toml_files;

#[test]
fn every_broken_file_is_explained() {
    for (name, text) in toml_files("tests/broken") {
        let errors = Settings::parse(&text, "holdfast.toml").unwrap_err();
        insta::assert_snapshot!(name, errors.render(false));
    }
}

#[test]
fn entries_say_the_same_as_the_text_for_people() {
    for (name, text) in toml_files("tests/broken") {
        let errors = Settings::parse(&text, "holdfast.toml").unwrap_err();
        let shown = errors.to_string();
        for entry in errors.entries() {
            assert!(shown.contains(&entry.message), "{name}: {entry:?}");
            let place = format!("holdfast.toml:{}:{}\n", entry.line, entry.column);
            let whole_file = (entry.line, entry.column) == (1, 1);
            assert!(whole_file || shown.contains(&place), "{name}: {entry:?}");
        }
    }
}

#[test]
fn errors_are_a_json_list() {
    let text =
        "[[listen]]\naddress = \"127.0.0.1:80\"\n[app.web.hold]\nmax_request = 1\nmax_wait = 3\n";
    let errors = Settings::parse(text, "holdfast.toml").unwrap_err();
    insta::assert_json_snapshot!(errors);
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let errors = Settings::parse("[ap.web]", "holdfast.toml").unwrap_err();
    assert!(!errors.render(false).contains('\x1b'));
    assert!(errors.render(true).contains('\x1b'));
}

#[test]
fn escape_sequences_in_a_file_do_not_reach_the_terminal() {
    let text = "\"\\u001b[31mred\" = 1\n\u{202e}x = 1\nserver = \"\u{9b}31m\"\n";
    let errors = Settings::parse(text, "\x1b[31mname").unwrap_err();
    let shown = errors.render(false);
    for evil in ['\x1b', '\u{202e}', '\u{9b}'] {
        assert!(!shown.contains(evil), "{evil:?} in {shown:?}");
    }
}

#[test]
fn what_is_said_of_a_secret_does_not_show_it_and_keeps_its_place() {
    let text = "[[app.web.cohort]]\nname = \"staff\"\n\
                header = { value = \"\"\"hunter\u{fc}\u{20ac}\u{1f600}\n2\"\"\", nam = 1, name = 2 }\n";
    let errors = Settings::parse(text, "holdfast.toml").unwrap_err();
    let shown = errors.render(false);
    assert!(
        !shown.contains("hunter") && !shown.contains('\u{fc}'),
        "{shown}"
    );
    assert!(shown.contains("******"), "{shown}");
    let entries = errors.entries().into_iter();
    let places: Vec<_> = entries
        .filter(|entry| entry.line > 2)
        .map(|entry| (entry.line, entry.column))
        .collect();
    assert_eq!(places, [(3, 20), (4, 7), (4, 23)]);
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown_either() {
    for slip in [
        "heder = { name = \"X-Staff\", value = \"hunter2\" }",
        "header = \"X-Staff: hunter2\"",
        "cookie = [\"staff\", \"hunter2\"]",
        "cookie = { name = \"staff\", valeu = \"hunter2\" }",
        "value = \"hunter2\"",
    ] {
        let text = format!("[[app.web.cohort]]\nname = \"staff\"\n{slip}\n");
        let shown = Settings::parse(&text, "holdfast.toml").unwrap_err();
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_thousand_errors_are_counted_but_not_all_shown() {
    let text: String = (0..1000).map(|n| format!("key{n} = 1\n")).collect();
    let entries = Settings::parse(&text, "holdfast.toml")
        .unwrap_err()
        .entries();
    assert_eq!(entries.len(), 301);
    // 1000 unknown keys, no listener, no app.
    assert_eq!(entries.last().unwrap().message, "and 702 more");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("holdfast.toml");
    let error = Settings::load(&missing).unwrap_err().entries().remove(0);
    assert_eq!(error.file, missing.display().to_string());
    assert!(error.message.starts_with("cannot be read: "), "{error:?}");

    std::fs::write(&missing, b"# fine\n# not \xff fine\n").unwrap();
    let error = Settings::load(&missing).unwrap_err().entries().remove(0);
    assert_eq!((error.line, error.column), (2, 7));
    assert_eq!(error.message, "not UTF-8");

    std::fs::write(&missing, "#".repeat((1 << 20) + 1)).unwrap();
    let error = Settings::load(&missing).unwrap_err().entries().remove(0);
    assert_eq!(error.message, "longer than 1024 KiB");
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let text = "[[listen]]\naddress = \"127.0.0.1:80\"\n\
                [app.web]\nrelease = { id = \"a\", instances = [\"no-such-host.invalid:80\"] }\n";
    let error = Settings::parse(text, "holdfast.toml")
        .unwrap_err()
        .entries()
        .remove(0);
    assert!(error.message.contains("no-such-host.invalid"), "{error:?}");
    assert_eq!((error.line, error.column), (4, 36));
}

#[test]
fn a_listener_given_by_flag_makes_one_in_the_file_unnecessary() {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let overrides = Overrides {
        listen: listen.clone(),
        workers: Some(3),
        ..Overrides::default()
    };
    let checked = Settings::parse_with("[app.web]", "holdfast.toml", &overrides).unwrap();
    assert_eq!(checked.settings.listen[0].address, listen[0]);
    assert_eq!(checked.settings.server.workers, 3);
}
