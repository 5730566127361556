//! What each verb asks of the daemon, word for word: whatever speaks to the API by hand relies on the same fields.

use serde_json::{Value, json};

use crate::answers::{ended, receipt, status};
use crate::daemon::{Answer, Daemon, Request};

/// Answers whatever a verb may ask.
fn obliging(request: &Request, answer: Answer) {
    match request.line.as_str() {
        "GET /v1/status" => answer.json(200, &status()),
        line if line.starts_with("GET /v1/history") => answer.json(200, &json!([])),
        "GET /v1/receipt" => answer.json(200, &receipt(json!({}))),
        "POST /v1/upgrade" => answer.json(200, &upgraded()),
        line if line.ends_with("/plan") => answer.json(200, &plan()),
        _ if request.body["detach"] == true => answer.json(202, &json!({ "operation": "OP" })),
        _ if request.accept == "text/event-stream" => {
            answer.events().tell(&ended(&receipt(json!({}))));
        }
        _ => answer.json(200, &json!({ "done": "done" })),
    }
}

fn plan() -> Value {
    json!({
        "app": "web", "rate": 41.2, "boot_ms": 10000, "held": 412, "held_bytes": 1263616,
        "longest_hold_ms": 10000, "fits": true, "why": null,
    })
}

fn upgraded() -> Value {
    json!({ "pid": 4711, "version": "1.2.3", "was": 815, "took_ms": 3104 })
}

#[test]
fn an_upgrade_names_the_program_absolutely_and_says_who_serves() {
    let daemon = Daemon::new(obliging);
    let run = daemon.run(&["upgrade", "--binary", "holdfast"]).expect(0);
    assert_eq!(
        run.out,
        "upgraded to 1.2.3: pid 4711 serves, pid 815 answers its last requests; took 3.1 s\n"
    );
    let asked = daemon.heard();
    let binary = asked[0].body["binary"].as_str().unwrap();
    let here = std::env::current_dir().unwrap().join("holdfast");
    assert_eq!(std::path::Path::new(binary), here);
}

#[test]
fn each_verb_with_all_its_flags() {
    let daemon = Daemon::new(obliging);
    for typed in [
        "status web",
        "promote --release 9f3c1a2",
        "promote web --release 9f3c1a2 --instance 10.0.0.1:3000 --instance unix:/run/b.sock \
         --strategy hold --boot-timeout 1m30s --drain-timeout 250ms --hold-timeout 90s \
         --if-current 51bd0e7 --reason why --operation deploy-7 --detach",
        "stage web --release 9f3c1a2 --instance 10.0.0.1:3000 --boot-timeout 2m",
        "unstage web --release 9f3c1a2",
        "hold web --writes --timeout 20s --reason why",
        "hold web --methods post,PUT",
        "resume web",
        "rollback web --release 51bd0e7 --reason why",
        "promote web --release 9f3c1a2 --strategy canary --steps 0.5,5,50 --step-time 30s --watch 1m \
         --on-fail freeze --on-quiet advance --smoke /up --smoke /checkout=200~Pay --gate-exec ./orders \
         --gate-prometheus http://h:9090|up|>0",
        "abort web",
        "pause web",
        "advance",
        "experiment start web checkout --arm plain=51bd0e7:0.5 --arm enhanced=9f3c1a2:0.5",
        "experiment start checkout --arm plain=51bd0e7:0.5",
        "experiment status web",
        "experiment close checkout",
        "experiment close web checkout --winner enhanced",
        "block web --reason why",
        "unblock web",
        "history web --limit 3",
        "receipt",
        "plan web --boot 1m",
        "reload",
        "upgrade",
        "upgrade --binary /opt/holdfast",
    ] {
        let words: Vec<&str> = typed.split_whitespace().collect();
        daemon.run(&words).expect(0);
    }
    let asked: Vec<String> = daemon.heard().iter().map(line).collect();
    insta::assert_snapshot!(asked.join("\n"));
}

/// Made-up ids differ from run to run.
fn line(request: &Request) -> String {
    let mut fields = Vec::new();
    for (name, value) in request.body.as_object().into_iter().flatten() {
        let made_up = name == "operation" && value.as_str().is_some_and(|id| id.len() == 26);
        match value {
            Value::Null => {}
            Value::Bool(false) => {}
            _ if made_up => fields.push("operation=(a ULID)".to_owned()),
            value => fields.push(format!("{name}={value}")),
        }
    }
    format!("{} {}", request.line, fields.join(" "))
}
