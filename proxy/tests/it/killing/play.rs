//! What is being done while the daemon dies: each play is one way through the steps of a swap, of a hold, of a start.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::crowd::ask;
use super::victim::Victim;
use crate::app::App;
use crate::client::until;
use crate::daemon::is_gone;

/// One way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// A promote beside the old release, which has a request under way.
    Overlap,
    /// A promote with a hold and a COMMAND inside it.
    Hold,
    /// A promote with a hold whose release never gets ready: everybody goes back.
    NeverReady,
    /// Back to the release before.
    Rollback,
    /// A drain that takes too long.
    Cut,
    /// The live release cannot be reached, for longer than anybody may wait.
    Down,
    /// What is commanded beside swaps: block, stage, hold, resume.
    ByCommand,
    /// An upgrade to a program that will not do, and a promote after it: the journal was lent, and is written anew.
    Relapse,
    /// The first start of all.
    FirstStart,
    /// A start after a death in the middle of a swap and of a record.
    Restart,
    /// A start on a journal that is to be written anew.
    Compaction,
}

/// The apps of a play: `a` serves first, `b` later.
pub(crate) struct Cast {
    pub(crate) a: App,
    pub(crate) b: App,
}

/// What was answered before the end, and has to stand after it.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Receipts of what was done, and one that was told in the other order would be wrong.
    pub(crate) receipts: Vec<Value>,
    /// What `status` has to say: the field and its value.
    pub(crate) stands: Vec<(&'static str, Value)>,
}

impl Play {
    pub(crate) const ALL: [Self; 11] = [
        Self::Overlap,
        Self::Hold,
        Self::NeverReady,
        Self::Rollback,
        Self::Cut,
        Self::Down,
        Self::ByCommand,
        Self::Relapse,
        Self::FirstStart,
        Self::Restart,
        Self::Compaction,
    ];

    /// The releases that may be live at the end: the one before, and the one after.
    pub(crate) fn releases(self) -> [&'static str; 2] {
        match self {
            Self::Overlap | Self::Hold | Self::Cut | Self::Relapse => ["initial", "v2"],
            Self::Rollback => ["v2", "initial"],
            Self::NeverReady
            | Self::Down
            | Self::ByCommand
            | Self::FirstStart
            | Self::Restart
            | Self::Compaction => ["initial", "initial"],
        }
    }

    /// Whether it is over when the daemon is ready.
    pub(crate) fn is_start(self) -> bool {
        matches!(self, Self::FirstStart | Self::Restart | Self::Compaction)
    }

    /// How long the request that is under way takes.
    pub(crate) fn slow_ms(self) -> u64 {
        if self == Self::Cut { 5000 } else { 400 }
    }

    /// Whether the live release answers.
    pub(crate) fn serves(self) -> bool {
        self != Self::Down
    }

    /// How many passes over a point are the same each time. A probe that fails is asked again by the clock.
    pub(crate) fn passes_max(self, point: &str) -> u64 {
        let by_the_clock = matches!(self, Self::NeverReady | Self::Down);
        if by_the_clock && point.starts_with("event.") {
            2
        } else {
            u64::MAX
        }
    }

    pub(crate) fn victim(self, name: &str, cast: &Cast) -> Victim {
        let mut flags = vec![match self {
            Self::Down => "--upstream=unix:/nowhere".to_owned(),
            _ => format!("--upstream={}", cast.a.address),
        }];
        let victim = Victim::new(name, Vec::new());
        if self == Self::Down {
            let config = victim.home.path().join("holdfast.toml");
            fs::write(&config, "[app.default.hold]\nmax_wait = \"200ms\"\n").unwrap();
            flags.push(format!("--config={}", config.display()));
        }
        victim.with(flags)
    }

    /// What has happened before, to a daemon that does not die.
    pub(crate) async fn prepare(self, victim: &mut Victim, cast: &Cast) {
        if !matches!(self, Self::Rollback | Self::Restart | Self::Compaction) {
            return;
        }
        assert!(victim.start(None).await);
        match self {
            Self::Rollback => {
                let (status, answer) = promote(victim, "v2", &cast.b, json!({})).await.unwrap();
                assert_eq!(status, 200, "{answer}");
            }
            Self::Restart => {
                let never = never_ready(json!({"boot_timeout": "20s", "detach": true}));
                victim.verb("promote", never).await.unwrap();
            }
            _ => {}
        }
        victim.kill().await;
        let mut journal = OpenOptions::new();
        let mut journal = journal.append(true).open(victim.journal()).unwrap();
        match self {
            Self::Restart => journal.write_all(b"0badc0de {\"v\":1,\"seq\"").unwrap(),
            Self::Compaction => journal.write_all(&more_records(victim)).unwrap(),
            _ => {}
        }
    }

    /// Goes its way, or as far as the daemon lives.
    pub(crate) async fn act(self, victim: &Victim, cast: &Cast) -> Answered {
        let mut answered = Answered::default();
        if self.serves() && !self.is_start() {
            let app = if self == Self::Rollback {
                &cast.b
            } else {
                &cast.a
            };
            let is_slow = |target: &String| target.starts_with("/slow/");
            // Some points are come by before.
            let is_there = async || app.targets().iter().any(is_slow) || is_gone(victim.id());
            until("a request is under way", is_there).await;
        }
        let receipt = match self {
            Self::Overlap => promote(victim, "v2", &cast.b, json!({})).await,
            Self::Hold => hold_swap(victim, cast).await,
            Self::NeverReady => {
                let never = never_ready(json!({"boot_timeout": "300ms", "drain_timeout": "1s"}));
                victim.verb("promote", never).await
            }
            Self::Rollback => victim.verb("rollback", json!({"operation": "back"})).await,
            Self::Cut => {
                let soon = json!({"drain_timeout": "100ms"});
                promote(victim, "v2", &cast.b, soon).await
            }
            Self::Relapse => {
                let binary = script(victim, "exit 3");
                let body = json!({"binary": binary});
                let refused = victim.say("POST", "/v1/upgrade", &body).await;
                assert!(refused.is_none_or(|(status, _)| status == 502));
                promote(victim, "v2", &cast.b, json!({})).await
            }
            Self::Down => {
                let _ = ask(victim.address, "GET", "/GET/down").await;
                given_up(victim).await;
                None
            }
            Self::ByCommand => by_command(victim, cast, &mut answered).await,
            Self::FirstStart | Self::Restart | Self::Compaction => None,
        };
        let done = receipt.filter(|(status, _)| *status == 200);
        answered.receipts.extend(done.map(|(_, receipt)| receipt));
        answered
    }
}

/// A program that does this.
pub(crate) fn script(victim: &Victim, does: &str) -> PathBuf {
    let path = victim.home.path().join("script");
    fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

async fn promote(victim: &Victim, release: &str, app: &App, more: Value) -> Option<(u16, Value)> {
    let mut body = json!({
        "release": release, "instance": [app.address.to_string()], "operation": "op",
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    victim.verb("promote", body).await
}

fn never_ready(more: Value) -> Value {
    let mut body = json!({
        "release": "v2", "instance": ["unix:/nowhere"], "operation": "op", "strategy": "hold",
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

/// With a COMMAND, as swapctl has it run: it listens until it is told to.
async fn hold_swap(victim: &Victim, cast: &Cast) -> Option<(u16, Value)> {
    let body = json!({
        "release": "v2", "instance": [cast.b.address.to_string()], "operation": "op",
        "strategy": "hold", "command": true,
    })
    .to_string();
    let head = format!(
        "POST /v1/apps/default/promote HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut listening = UnixStream::connect(victim.socket()).await.ok()?;
    listening.write_all(head.as_bytes()).await.ok()?;
    loop {
        // Unknown: the command has not been read yet.
        let (_, state) = victim.say("GET", "/v1/operations/op", &json!({})).await?;
        if state["phase"] == "command" {
            break;
        }
        tokio::task::yield_now().await;
    }
    let end = json!({"ok": true});
    victim
        .say("POST", "/v1/operations/op/command", &end)
        .await?;
    let path = "/v1/operations/op?wait=true";
    let (status, state) = victim.say("GET", path, &json!({})).await?;
    Some((status, state["receipt"].clone()))
}

async fn given_up(victim: &Victim) {
    until("the hold has given up, or the daemon has", async || {
        // Who asks now has 503 at once.
        let asked = std::time::Instant::now();
        let got = ask(victim.address, "GET", "/GET/late").await;
        let at_once = asked.elapsed().as_millis() < 100;
        got.is_none_or(|got| got.status == 503 && at_once)
    })
    .await;
}

/// Block, stage, hold and resume. What each said stands.
async fn by_command(victim: &Victim, cast: &Cast, answered: &mut Answered) -> Option<(u16, Value)> {
    let stands = &mut answered.stands;
    let stage = json!({"release": "s1", "instance": [cast.b.address.to_string()]});
    let (status, answer) = victim.verb("stage", stage).await?;
    assert_eq!(status, 200, "{answer}");
    stands.push(("/staged/0", json!("s1")));
    let (status, answer) = victim.verb("block", json!({"reason": "look"})).await?;
    assert!(status < 300, "{answer}");
    stands.push(("/blocked/reason", json!("look")));
    let (status, answer) = victim.verb("hold", json!({"writes": true})).await?;
    assert!(status < 300, "{answer}");
    stands.push(("/hold/cause", json!("command")));
    // What is about to change is either so or not.
    stands.retain(|(field, _)| *field != "/blocked/reason");
    let (status, answer) = victim.verb("unblock", json!({})).await?;
    assert!(status < 300, "{answer}");
    stands.push(("/blocked", Value::Null));
    stands.retain(|(field, _)| *field != "/hold/cause");
    let (status, answer) = victim.verb("resume", json!({})).await?;
    assert!(status < 300, "{answer}");
    stands.push(("/hold/active", json!(false)));
    stands.retain(|(field, _)| *field != "/staged/0");
    let (status, answer) = victim.verb("unstage", json!({"release": "s1"})).await?;
    assert!(status < 300, "{answer}");
    stands.push(("/staged", json!([])));
    None
}

/// So many records as make a journal too long, each sound and one after the last.
fn more_records(victim: &Victim) -> Vec<u8> {
    let text = fs::read_to_string(victim.journal()).unwrap();
    let last = text.lines().last().unwrap();
    let mut record: Value = serde_json::from_str(&last[9..]).unwrap();
    let mut more = Vec::new();
    record["verb"] = json!("x".repeat(1000));
    let mut seq = record["seq"].as_u64().unwrap();
    while more.len() <= 1 << 20 {
        seq += 1;
        record["seq"] = json!(seq);
        let json = record.to_string();
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        more.extend_from_slice(line.as_bytes());
    }
    more
}
