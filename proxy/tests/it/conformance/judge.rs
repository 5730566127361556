//! Whether what happened is what the case asks for.

use super::case::RequestCase;
use super::message::{Read, Unframed, read};
use super::origin::Heard;
use super::talk::Talk;

/// What is wrong, if anything is.
pub(super) fn judge(case: &RequestCase, talk: &Talk, heard: &[Heard]) -> Result<(), String> {
    let upstream: Vec<u8> = heard.iter().flat_map(|one| one.octets.clone()).collect();
    let seen = Seen {
        statuses: talk
            .answers()
            .iter()
            .map(|answer| answer.status())
            .collect(),
        closed: talk.got.closed,
        arrived: heard.iter().map(|one| one.requests.len()).sum(),
        nothing_upstream: upstream.is_empty(),
        whole_in_case: whole(&case.raw.0),
        count: case.upstream_count.unwrap_or(1),
    };
    let story = || {
        let upstream = String::from_utf8_lossy(&upstream);
        let upstream: String = upstream.chars().take(300).collect();
        format!("{seen:?}, upstream {upstream:?}")
    };
    if let Some(why) = heard.iter().find_map(|one| one.malformed.as_ref()) {
        return Err(format!("malformed upstream: {why}"));
    }
    for forbidden in &case.forbid_upstream {
        if contains(&upstream, forbidden) {
            return Err(format!("{forbidden:?} reached the app: {}", story()));
        }
    }
    for wanted in &case.must_upstream {
        if !contains(&upstream, wanted) {
            return Err(format!("{wanted:?} did not reach the app: {}", story()));
        }
    }
    if case.must_close && !seen.closed {
        return Err(format!("the connection stays: {}", story()));
    }
    let mut outcomes = std::iter::once(&case.expect).chain(&case.also_ok);
    match outcomes.any(|outcome| seen.is(outcome)) {
        true => Ok(()),
        false => Err(format!(
            "not {} {:?}: {}",
            case.expect,
            case.also_ok,
            story()
        )),
    }
}

#[derive(Debug)]
struct Seen {
    statuses: Vec<u16>,
    closed: bool,
    /// Whole requests that reached the app.
    arrived: usize,
    nothing_upstream: bool,
    /// Whole requests that the case has.
    whole_in_case: usize,
    count: usize,
}

impl Seen {
    fn is(&self, outcome: &str) -> bool {
        let first = self.statuses.first().copied();
        match outcome {
            "400" => first == Some(400) && self.nothing_upstream,
            "400_or_close" => self.arrived == 0 && first.map_or(self.closed, is_refusal),
            "forward_once" => self.is_forwarded(),
            "forward_or_400" => self.is_forwarded() || self.is("400"),
            "close" => self.closed && self.arrived <= self.whole_in_case,
            status => {
                first.map(|it| it.to_string()).as_deref() == Some(status) && self.arrived == 0
            }
        }
    }

    fn is_forwarded(&self) -> bool {
        let mut answers = self.statuses.iter().take(self.count);
        self.arrived == self.count
            && self.statuses.len() >= self.count
            && answers.all(|status| (200..400).contains(status))
    }
}

fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499 | 501 | 505)
}

/// How many whole requests there are in these octets.
fn whole(octets: &[u8]) -> usize {
    match read(octets, Unframed::NoBody) {
        Read::Whole(_, len) => 1 + whole(&octets[len..]),
        Read::Incomplete | Read::Malformed(_) => 0,
    }
}

pub(super) fn contains(octets: &[u8], text: &str) -> bool {
    let wanted: Vec<u8> = text.chars().map(|octet| octet as u8).collect();
    let mut windows = octets.windows(wanted.len().max(1));
    windows.any(|window| window.eq_ignore_ascii_case(&wanted))
}
