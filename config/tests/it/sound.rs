//! What a sound file means: the documented defaults, the examples, the flags.

use std::time::Duration;

use holdfast_config::{AccessLog, App, ResumeRate, Settings, Sign};
use swap_core::{Address, AppName};

use crate::toml_files;

fn sound(text: &str) -> Settings {
    match Settings::parse(text, "holdfast.toml") {
        Ok(checked) => {
            assert!(checked.warnings.is_empty(), "{}", checked.warnings);
            checked.settings
        }
        Err(errors) => panic!("{errors}"),
    }
}

fn app(settings: &Settings, name: &str) -> App {
    let name: AppName = name.parse().unwrap();
    settings.apps[&name].clone()
}

#[test]
fn every_example_is_sound_and_without_warnings() {
    for (name, text) in toml_files("examples") {
        println!("{name}");
        sound(&text);
    }
}

#[test]
fn a_file_with_every_default_written_out_means_the_same_as_one_without() {
    let files = toml_files("examples");
    let text_of = |wanted: &str| &files.iter().find(|(name, _)| name == wanted).unwrap().1;
    assert_eq!(sound(text_of("defaults")), sound(text_of("minimal")));
}

#[test]
fn without_a_file_one_app_takes_everything_with_the_same_defaults() {
    let settings = Settings::without_file(vec!["0.0.0.0:8080".parse().unwrap()]);
    let with_file = sound("[[listen]]\naddress = \"0.0.0.0:8080\"\n[app.default]");
    assert_eq!(settings, with_file);
    let app = app(&settings, "default");
    assert_eq!((app.hosts.len(), app.paths), (0, vec!["/".to_owned()]));
}

const DOCUMENTED: &str = r#"
[server]
workers = 0                       # 0: one per core
state_dir = "/var/lib/holdfast"
access_log = "off"                # off | stdout | a path; JSON lines

[control]
socket = "/run/holdfast/control.sock"
mode = "0600"
users = ["deploy"]                # besides root and the daemon's own user

[admin]
listen = "127.0.0.1:9900"         # /metrics, /healthz, dashboard; off unless named

[[listen]]
address = "0.0.0.0:443"
tls = { certificate = "cert.pem", key = "key.pem" }

[app.web]
hosts = ["shop.example.com", "*.shop.example.com"]   # empty: every host
paths = ["/"]                     # longest prefix wins; matched on whole segments
strip_prefix = false
release_header = "X-Release"      # on every response; false turns it off
release = { id = "boot", instances = ["127.0.0.1:3000"] }   # only until the journal knows better

[app.web.probe]
path = "/up"
interval = "1s"
timeout = "5s"
passes = 1

[app.web.hold]
max_requests = 10000
max_bytes = "64MiB"
max_wait = "30s"
max_share = 0.1
when_down = true
resume_rate = "auto"

[app.web.timeouts]
boot = "60s"
drain = "30s"
connect = "2s"
response = "60s"

[app.web.canary]
steps = [1, 5, 25, 50, 100]       # per cent
step_time = "60s"                 # at least, per step
watch = "5m"                      # judged on after 100 %, the old release kept warm
min_requests = 100                # fewer: no verdict ("not enough traffic")
alpha = 0.01
min_effect = 0.02
max_error_increase = 0.0          # absolute; what counts as the same
max_latency_increase = 1.25       # p50 and p99, ratio
guard_error_rate = 0.5
sticky = "cookie"                 # cookie | client | none
on_fail = "rollback"              # or freeze: keep the share, stop, wait for a person
opt_in = { cookie = "holdfast_next" }
"#;

#[test]
fn the_documented_file_means_what_it_says() {
    let settings = sound(DOCUMENTED);
    insta::assert_debug_snapshot!(settings);
}

#[test]
fn the_documented_values_are_the_defaults() {
    let documented = app(&sound(DOCUMENTED), "web");
    let bare = app(
        &sound("[[listen]]\naddress = \"0.0.0.0:443\"\n[app.web]"),
        "web",
    );
    let given = App {
        hosts: documented.hosts.clone(),
        release: documented.release.clone(),
        ..bare
    };
    assert_eq!(given, documented);
}

#[test]
fn every_key_reaches_the_settings() {
    let settings = sound(
        r#"
        server = { workers = 2, state_dir = "/s", access_log = "/log", trusted = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"] }
        limits = { handshake = "1s", head = "2s", idle = "3s", body_pause = "4s", body_grace = "5s", body_rate = 6, write = "7s", head_size = "9KiB", target_size = "1KiB", fields = 11, streams = 12, connections = 13 }
        control = { socket = "/c", mode = "660", users = ["a", "1000"] }
        admin.listen = "127.0.0.1:1"
        listen = [{ address = "127.0.0.1:0" }, { address = "[::1]:0", proxy_protocol = true }]
        [app.api]
        hosts = ["API.example.com", "[0::1]"]
        paths = ["/v1/", "/v2"]
        strip_prefix = true
        release_header = false
        release = { id = "9f3c1a2", instances = ["[::1]:3000", "unix:/run/a.sock", "localhost:1"] }
        upstream = { protocol = "http2", tls = { ca = "ca.pem", name = "App.internal", certificate = "us.pem", key = "us.key" } }
        probe = { path = "/health?deep=1", grpc = "shop.Orders", interval = "2s", timeout = "3s", passes = 4 }
        [app.api.hold]
        max_requests = 0x10
        max_bytes = "1MiB"
        max_wait = "1m30s"
        max_share = 1
        when_down = false
        resume_rate = 50
        answer_probes = false
        [app.api.timeouts]
        boot = "10s"
        drain = "9s"
        drain_held = "8s"
        connect = "7s"
        response = "6s"
        [app.api.canary]
        steps = [0.0001, 0x10, 33.3333, 100]
        step_time = "10s"
        watch = "0s"
        min_requests = 1_000
        alpha = 1e-6
        min_effect = 1
        max_error_increase = 0.5
        max_latency_increase = 2
        guard_error_rate = 0.25
        sticky = "client"
        on_fail = "freeze"
        opt_in = { cookie = "next" }
        [[app.api.cohort]]
        name = "header"
        header = { name = "X-Staff", value = "gT4v Xq9R mZ27 LdKe" }
        [[app.api.cohort]]
        name = "cookie"
        cookie = { name = "holdfast_next", value = "gT4vXq9RmZ27LdKe" }
        [[app.api.cohort]]
        name = "clients"
        clients = ["10.0.0.0/8", "::1"]
        [app.other]
        affinity = "1h"
        canary = { sticky = "none", opt_in = false }
        "#,
    );
    insta::assert_debug_snapshot!(settings);
}

#[test]
fn drain_held_follows_a_shorter_drain() {
    let drain_held = |drain: &str| {
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\n[app.web.timeouts]\ndrain = \"{drain}\""
        );
        app(&sound(&text), "web").timeouts.drain_held
    };
    assert_eq!(drain_held("3s"), Duration::from_secs(3));
    assert_eq!(drain_held("1m"), Duration::from_secs(5));
}

#[test]
fn the_same_path_may_belong_to_different_hosts() {
    let settings = sound(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[app.a]\nhosts = [\"a.example\"]\n\
         [app.b]\nhosts = [\"*.example\"]\n[app.c]\n[app.d]\npaths = [\"/d\"]",
    );
    assert_eq!(settings.apps.len(), 4);
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    let text = "[server]\ntrusted = [\"0.0.0.0/0\"]\n[admin]\nlisten = \"0.0.0.0:9900\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
                [app.web.hold]\nmax_bytes = \"1MiB\"\nmax_wait = \"4s\"\n\
                [app.web.timeouts]\nboot = \"3s\"\n";
    let checked = Settings::parse(text, "holdfast.toml").unwrap();
    insta::assert_snapshot!(checked.warnings.render(false));
}

/// A file with one cohort, by a header.
fn with_value(value: &str) -> String {
    format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[app.web.cohort]]\nname = \"staff\"\n\
         header = {{ name = \"X-Staff\", value = \"{value}\" }}\n"
    )
}

#[test]
fn a_value_that_can_be_guessed_is_a_warning_that_does_not_show_it() {
    for (value, guessable) in [
        ("a long secret", true),
        ("Staff", true),
        ("1", true),
        ("gT4vXq9RmZ27LdK", true),
        ("gT4vXq9RmZ27LdKe", false),
        ("1212121212121212121212", true),
        ("8302174659921038", false),
    ] {
        let checked = Settings::parse(&with_value(value), "holdfast.toml").unwrap();
        let shown = checked.warnings.render(false);
        assert_eq!(!checked.warnings.is_empty(), guessable, "{value}: {shown}");
        assert!(!shown.contains(&format!("\"{value}\"")), "{shown}");
        let Sign::Header { name, value: kept } = &app(&checked.settings, "web").cohorts[0].sign
        else {
            panic!("a header was given");
        };
        assert_eq!((name.as_str(), kept.as_str()), ("x-staff", value));
    }
}

#[test]
fn what_is_odd_about_a_canary_is_a_warning() {
    let text = with_value("staff")
        + "[app.web.canary]\nstep_time = \"9s\"\n\
           [[app.web.cohort]]\nname = \"word\"\ncookie = { name = \"k\", value = \"hunter2\" }\n\
           [[app.web.cohort]]\nname = \"all\"\nclients = [\"::/0\"]\n";
    let checked = Settings::parse(&text, "holdfast.toml").unwrap();
    insta::assert_snapshot!(checked.warnings.render(false));
}

#[test]
fn plain_values_are_what_they_look_like() {
    let settings = sound(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[server]\naccess_log = \"stdout\"\n[app.web]\nrelease = { id = \"a\", instances = [\"127.0.0.1:1\"] }",
    );
    assert_eq!(settings.server.access_log, AccessLog::Stdout);
    let app = app(&settings, "web");
    assert_eq!(app.hold.resume_rate, ResumeRate::Auto);
    let instances = app.release.unwrap().instances;
    assert_eq!(
        instances,
        vec![Address::Tcp("127.0.0.1:1".parse().unwrap())]
    );
}
