//! What a reload says it has changed.

use holdfast_config::{Change, Settings};

use crate::toml_files;

fn settings(text: &str) -> Settings {
    let checked = Settings::parse(text, "holdfast.toml");
    checked.unwrap_or_else(|errors| panic!("{errors}")).settings
}

fn said(before: &str, after: &str) -> Vec<String> {
    let changes = settings(before).changes(&settings(after));
    changes.iter().map(Change::to_string).collect()
}

const BEFORE: &str = "listen = [{ address = \"127.0.0.1:80\" }]\n[app.web]\n";

#[test]
fn nothing_has_changed_between_a_file_and_itself() {
    for (_, text) in toml_files("examples") {
        assert_eq!(said(&text, &text), [] as [&str; 0]);
    }
}

#[test]
fn every_changed_key_is_named_with_both_values() {
    let after = "listen = [{ address = \"127.0.0.1:81\" }, { address = \"127.0.0.1:82\", proxy_protocol = true }]\n\
                 server = { access_log = \"stdout\", trusted = [\"10.0.0.0/8\"] }\n\
                 [app.web]\nhosts = [\"a.example\"]\nrelease_header = false\n\
                 hold = { max_wait = \"1m\", max_bytes = \"1GiB\", resume_rate = 9 }\n\
                 release = { id = \"a\", instances = [\"unix:/run/a\"] }\n\
                 timeouts.drain_held = \"1s500ms\"\n";
    insta::assert_snapshot!(said(BEFORE, after).join("\n"));
}

#[test]
fn a_changed_secret_is_said_but_not_shown() {
    let app = |value: &str, rest: &str| {
        format!(
            "{BEFORE}[[app.web.cohort]]\nname = \"staff\"\n\
             header = {{ name = \"X-Staff\", value = \"{value}\" }}\n{rest}"
        )
    };
    let (old, new) = (app("gT4vXq9RmZ27LdKe", ""), app("Wn83kPzY5cHs6BaQ", ""));
    assert_eq!(said(&old, &new), ["app.web.cohort: another secret"]);
    let more = app(
        "Wn83kPzY5cHs6BaQ",
        "[[app.web.cohort]]\nname = \"office\"\nclients = [\"192.0.2.0/24\"]\n\
         [[app.web.cohort]]\nname = \"testers\"\ncookie = { name = \"t\", value = \"gT4vXq9RmZ27LdKe\" }\n\
         [app.web.canary]\nsteps = [0.5, 100]\nsticky = \"client\"\non_fail = \"freeze\"\nopt_in = false\n",
    );
    insta::assert_snapshot!(said(BEFORE, &more).join("\n"));
}

#[test]
fn an_app_that_is_new_or_gone_is_one_change() {
    let after = BEFORE.replace("[app.web]", "[app.\"web.2\"]");
    assert_eq!(
        said(BEFORE, &after),
        [
            "app.\"web.2\": nothing → an app",
            "app.web: an app → nothing"
        ]
    );
}

#[test]
fn changes_of_the_process_are_told_from_those_that_a_reload_makes() {
    let after = "listen = [{ address = \"127.0.0.1:81\" }]\n[limits]\nidle = \"1m\"\nconnections = 7\n\
                 [server]\nworkers = 3\ntrusted = [\"10.0.0.0/8\"]\n[app.web]\nstrip_prefix = true\n\
                 affinity = \"1m\"\ncanary.watch = \"0s\"\ncohort = [{ name = \"a\", clients = [\"::1\"] }]\n";
    let changes = settings(BEFORE).changes(&settings(after));
    let of_process = changes.iter().map(|c| (c.key.as_str(), c.is_of_process()));
    let expected = [
        ("app.web.affinity", false),
        ("app.web.canary.watch", false),
        ("app.web.cohort", false),
        ("app.web.strip_prefix", false),
        ("limits.connections", true),
        ("limits.idle", false),
        ("listen", false),
        ("server.trusted", false),
        ("server.workers", true),
    ];
    assert_eq!(of_process.collect::<Vec<_>>(), expected);
}
