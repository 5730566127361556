//! What an app may answer, and what of it may reach the client.

use std::time::Duration;

use super::case::{self, ResponseCase};
use super::judge::contains;
use super::origin::{Heard, Script};
use super::talk::Talk;
use super::{Lane, Table};

/// What came of a case: the client's side of it, and its next request's.
struct Played {
    talk: Talk,
    next: Talk,
    heard: Vec<Heard>,
}

async fn play(lane: &Lane, case: &ResponseCase) -> Result<(), String> {
    let (octets, fin) = (case.raw.0.clone(), case.fin);
    lane.origin.take();
    lane.origin.script(Some(Script { octets, fin }));
    let patience = case
        .timeout_s
        .map_or(lane.patience(), |s| Duration::from_secs(s + 5));
    let fields = case.request_headers.as_deref().unwrap_or("");
    let request = format!("GET /case HTTP/1.1\r\nHost: x.test\r\n{fields}\r\n");
    let mut talk = Talk::begin(lane.address, request.as_bytes(), false).await;
    talk.until(1, patience).await;
    lane.origin.script(None);
    let request = "GET /next HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n";
    let mut next = Talk::begin(lane.address, request.as_bytes(), false).await;
    next.until(usize::MAX, lane.patience()).await;
    let heard = lane.origin.take();
    judge(case, &Played { talk, next, heard })
}

fn judge(case: &ResponseCase, played: &Played) -> Result<(), String> {
    let Played { talk, next, heard } = played;
    let got = String::from_utf8_lossy(&talk.got.octets);
    let got: String = got.chars().take(300).collect();
    for forbidden in &case.forbid_client {
        if contains(&talk.got.octets, forbidden) {
            return Err(format!("{forbidden:?} reached the client: {got:?}"));
        }
    }
    for forbidden in &case.forbid_next {
        if contains(&next.got.octets, forbidden) {
            return Err(format!("{forbidden:?} was taken for the next answer"));
        }
    }
    let bodies: Vec<_> = next
        .answers()
        .into_iter()
        .map(|answer| answer.body)
        .collect();
    if bodies != [b"ok"] {
        return Err(format!("the next answer is {:?}", next.got));
    }
    let both = |one: &Heard| contains(&one.octets, "/case") && contains(&one.octets, "/next");
    if case.reuse == Some(false) && heard.iter().any(both) {
        return Err("the connection was used again".to_owned());
    }
    match is(&case.expect, case, talk) {
        true => Ok(()),
        false => Err(format!("not {}: {got:?}", case.expect)),
    }
}

fn is(outcome: &str, case: &ResponseCase, talk: &Talk) -> bool {
    let status = talk
        .answers()
        .first()
        .map(|answer| answer.status().to_string());
    let meant = case.raw.0.get(9..12);
    let meant = meant.map(|it| String::from_utf8_lossy(it).into_owned());
    match outcome {
        "forward" => status == meant,
        "forward_or_502" => is("502", case, talk) || status.as_deref() == Some("200"),
        "truncation_visible" => talk.got.closed && talk.is_broken_off(),
        wanted => status.as_deref() == Some(wanted),
    }
}

async fn play_all(cases: impl Iterator<Item = ResponseCase>) {
    let lane = Lane::new().await;
    let mut table = Table::default();
    let mut wrong = Vec::new();
    for case in cases {
        let result = play(&lane, &case).await;
        table.count(case.level, result.is_ok());
        if let Err(why) = result {
            let (id, what, rfc) = (&case.id, &case.description, &case.rfc);
            wrong.push(format!("{id} ({what}; {rfc}): {why}"));
        }
    }
    table.print("answers");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_answer_has_the_outcome_that_the_rfcs_ask_for() {
    let quick = case::responses().into_iter();
    play_all(quick.filter(|case| case.timeout_s.is_none())).await;
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_504() {
    let slow = case::responses().into_iter();
    play_all(slow.filter(|case| case.timeout_s.is_some())).await;
}
