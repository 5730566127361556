//! How a canary is to go: what was asked for, and the app's settings for the rest.

use std::time::Duration;

use http::uri::PathAndQuery;
use swap_core::{CanaryPlan, ExternalGate, Share, Smoke, Strategy};

use super::{Addressed, Api};
use crate::api::read::{duration, words};
use crate::driver::Message;
use crate::gates::{Bound, ServerUrl};
use crate::problem::{self, problem, usage};
use crate::wire::{Percent, Problem, PromoteRequest};

const STEPS_MAX: usize = 20;
/// Shorter ones would have no time to count anything.
const STEP_TIME_MIN: Duration = Duration::from_millis(100);
/// Of a step, and of the watch.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Each is asked of every instance, twice.
const SMOKE_MAX: usize = 20;
const GATES_MAX: usize = 10;
/// Where a smoke test asks, and what it looks for.
const TEXT_BYTES_MAX: usize = 2 * 1024;

impl Api {
    /// What a promote with strategy canary goes through.
    pub(super) async fn canary(
        &self,
        ask: &PromoteRequest,
        to: &Addressed,
    ) -> Result<Option<CanaryPlan>, Problem> {
        if ask.strategy != Strategy::Canary {
            return match flag(ask) {
                Some(flag) => Err(usage(format!("{flag}: only with strategy canary"))),
                None => Ok(None),
            };
        }
        let app = to.app.clone();
        let settings = self.ask(|reply| Message::Canary(app, reply)).await?;
        let unknown = || problem::unknown_app(to.app.as_str(), std::iter::empty());
        let settings = settings.ok_or_else(unknown)?;
        let steps = match &ask.steps {
            Some(asked) => steps(asked)?,
            None => settings.steps,
        };
        let step_time = limit("step_time", ask.step_time.as_deref(), STEP_TIME_MIN)?;
        let watch = limit("watch", ask.watch.as_deref(), Duration::ZERO)?;
        let plan = CanaryPlan {
            steps,
            step_time: step_time.unwrap_or(settings.step_time),
            watch: watch.unwrap_or(settings.watch),
            on_fail: ask.on_fail.unwrap_or(settings.on_fail),
            on_quiet: ask.on_quiet.unwrap_or_default(),
            smoke: smoke(&ask.smoke)?,
            gates: gates(ask, to.uid)?,
        };
        must_have_a_control(&plan)?;
        Ok(Some(plan))
    }
}

/// A flag that belongs to a canary, if there is one.
fn flag(ask: &PromoteRequest) -> Option<&'static str> {
    let flags = [
        ("steps", ask.steps.is_some()),
        ("step_time", ask.step_time.is_some()),
        ("watch", ask.watch.is_some()),
        ("on_fail", ask.on_fail.is_some()),
        ("on_quiet", ask.on_quiet.is_some()),
        ("smoke", !ask.smoke.is_empty()),
        ("gate_exec", !ask.gate_exec.is_empty()),
        ("gate_prometheus", !ask.gate_prometheus.is_empty()),
    ];
    let mut given = flags.into_iter().filter(|(_, is_given)| *is_given);
    given.next().map(|(name, _)| name)
}

fn steps(asked: &[Percent]) -> Result<Vec<Share>, Problem> {
    let mut steps: Vec<Share> = asked.iter().map(|Percent(share)| *share).collect();
    if steps.is_empty() || steps.len() > STEPS_MAX {
        let count = steps.len();
        return Err(usage(format!("steps: 1 to {STEPS_MAX}, not {count}")));
    }
    if steps.first() == Some(&Share::NONE) {
        return Err(usage("steps: 0 per cent are nobody"));
    }
    if let Some(pair) = steps.windows(2).find(|pair| pair[0] >= pair[1]) {
        let (one, next) = (pair[0], pair[1]);
        return Err(usage(format!("steps: they grow, and {next} follows {one}")));
    }
    if steps.last() != Some(&Share::ALL) {
        steps.push(Share::ALL);
    }
    Ok(steps)
}

/// Nothing could ever be said of it else.
fn must_have_a_control(plan: &CanaryPlan) -> Result<(), Problem> {
    let first = plan.steps.first().copied().unwrap_or(Share::ALL);
    if first <= first.rest() || plan.on_quiet == swap_core::OnQuiet::Advance {
        return Ok(());
    }
    Err(usage(format!(
        "steps: beside a share of {first} per cent there is no control to compare it with; begin with at most 50, or say on_quiet: advance"
    )))
}

fn limit(field: &str, text: Option<&str>, least: Duration) -> Result<Option<Duration>, Problem> {
    let time = duration(field, text)?;
    match time {
        Some(time) if !(least..=TIME_MAX).contains(&time) => {
            let [time, least, most] = [time, least, TIME_MAX].map(swap_core::duration::text);
            Err(usage(format!("{field}: {least} to {most}, not {time}")))
        }
        Some(_) | None => Ok(time),
    }
}

fn smoke(asked: &[String]) -> Result<Vec<Smoke>, Problem> {
    if asked.len() > SMOKE_MAX {
        let count = asked.len();
        return Err(usage(format!("smoke: {count} are more than {SMOKE_MAX}")));
    }
    asked.iter().map(|text| smoke_test(text)).collect()
}

/// `PATH[=STATUS[~TEXT]]`. A path may have `=` and `~` in it: a status is three digits with nothing or a `~` behind them.
fn smoke_test(asked: &str) -> Result<Smoke, Problem> {
    let wrong = |why: &str| {
        let asked: String = asked.chars().take(200).collect();
        usage(format!(
            "smoke: {asked:?} {why}; PATH[=STATUS[~TEXT]], such as /checkout=200~Pay now"
        ))
    };
    let (path, status, text) = parts(asked);
    if asked.len() > TEXT_BYTES_MAX {
        return Err(wrong("is too long"));
    }
    if !path.starts_with('/') || path.parse::<PathAndQuery>().is_err() {
        return Err(wrong("has no path"));
    }
    if !(100..600).contains(&status) {
        return Err(wrong("has no status from 100 to 599"));
    }
    if text.is_some_and(str::is_empty) {
        return Err(wrong("has no text behind its ~"));
    }
    Ok(Smoke {
        path: path.to_owned(),
        status,
        text: text.map(str::to_owned),
    })
}

fn parts(asked: &str) -> (&str, u16, Option<&str>) {
    for (at, _) in asked.match_indices('=') {
        let (path, rest) = (&asked[..at], &asked[at + 1..]);
        let (digits, text) = match rest.split_once('~') {
            Some((digits, text)) => (digits, Some(text)),
            None => (rest, None),
        };
        let is_status = digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
        if let Some(status) = digits.parse().ok().filter(|_| is_status) {
            return (path, status, text);
        }
    }
    (asked, 200, None)
}

fn gates(ask: &PromoteRequest, uid: u32) -> Result<Vec<ExternalGate>, Problem> {
    let count = ask.gate_exec.len() + ask.gate_prometheus.len();
    if count > GATES_MAX {
        let field = if ask.gate_exec.is_empty() {
            "gate_prometheus"
        } else {
            "gate_exec"
        };
        return Err(usage(format!(
            "{field}: {count} gates are more than {GATES_MAX}"
        )));
    }
    let commands = ask.gate_exec.iter().map(|command| exec(command, uid));
    let queries = ask.gate_prometheus.iter().map(|text| prometheus(text));
    commands.chain(queries).collect()
}

/// It has the rights of who asked, which only root can give away.
fn exec(command: &str, uid: u32) -> Result<ExternalGate, Problem> {
    let own = rustix::process::geteuid().as_raw();
    if own != 0 && own != uid {
        let detail = format!(
            "gate_exec: a command has the rights of who asks for it, and a daemon with uid {own} cannot run one for uid {uid}"
        );
        return Err(problem(403, "forbidden", "not allowed", detail));
    }
    if command.trim().is_empty() || command.contains('\0') {
        return Err(usage("gate_exec: that is no command"));
    }
    let command = words("gate_exec", Some(command.to_owned()))?.unwrap_or_default();
    Ok(ExternalGate::Exec { command, uid })
}

/// `URL|QUERY|< 0.01`. The query may have `|` in it.
fn prometheus(text: &str) -> Result<ExternalGate, Problem> {
    let wrong = |why: &str| {
        let text: String = text.chars().take(200).collect();
        usage(format!(
            "gate_prometheus: {text:?} {why}; URL|QUERY|BOUND, such as http://127.0.0.1:9090|sum(rate(orders_total[1m]))|> 3"
        ))
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong("is too long"));
    }
    let parts = text.split_once('|');
    let parts = parts.and_then(|(url, rest)| Some((url, rest.rsplit_once('|')?)));
    let (url, (query, wanted)) = parts.ok_or_else(|| wrong("has no three parts"))?;
    let [url, query, wanted] = [url, query, wanted].map(str::trim);
    url.parse::<ServerUrl>().map_err(|why| wrong(&why))?;
    wanted.parse::<Bound>().map_err(|why| wrong(&why))?;
    if query.is_empty() {
        return Err(wrong("has no query"));
    }
    Ok(ExternalGate::Prometheus {
        url: url.to_owned(),
        query: query.to_owned(),
        wanted: wanted.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smoked(text: &str) -> (String, u16, Option<String>) {
        let Smoke { path, status, text } = smoke_test(text).unwrap();
        (path, status, text)
    }

    #[test]
    fn a_smoke_test_has_a_path_perhaps_a_status_and_perhaps_a_text() {
        let meant = |path: &str, status, text: Option<&str>| {
            (path.to_owned(), status, text.map(str::to_owned))
        };
        assert_eq!(smoked("/up"), meant("/up", 200, None));
        assert_eq!(smoked("/up=204"), meant("/up", 204, None));
        assert_eq!(smoked("/a=200~b=c~d"), meant("/a", 200, Some("b=c~d")));
        assert_eq!(smoked("/s?q=300=302"), meant("/s?q=300", 302, None));
        assert_eq!(
            smoked("/~user/?page=12"),
            meant("/~user/?page=12", 200, None)
        );
        for wrong in ["", "up", "/up=999", "/up=200~", "/a b", "http://x/"] {
            assert!(smoke_test(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_grow_to_everybody() {
        let all = |texts: &[&str]| {
            let parse = |text: &&str| Percent(text.parse().unwrap());
            steps(&texts.iter().map(parse).collect::<Vec<_>>())
        };
        let [five, half] = ["5", "50"].map(|text| text.parse::<Share>().unwrap());
        assert_eq!(all(&["5", "50"]).unwrap(), [five, half, Share::ALL]);
        assert_eq!(all(&["5", "100"]).unwrap(), [five, Share::ALL]);
        for wrong in [&["5", "5"][..], &["50", "5"], &[]] {
            assert!(all(wrong).is_err(), "{wrong:?}");
        }
        assert!(steps(&[Percent(Share::NONE)]).is_err());
    }

    #[test]
    fn a_query_may_have_the_separator_in_it() {
        let text = r#"http://127.0.0.1:9090/p | sum(rate(e{code=~"4|5"}[1m])) | < 0.01"#;
        let gate = ExternalGate::Prometheus {
            url: "http://127.0.0.1:9090/p".to_owned(),
            query: r#"sum(rate(e{code=~"4|5"}[1m]))"#.to_owned(),
            wanted: "< 0.01".to_owned(),
        };
        assert_eq!(prometheus(text), Ok(gate));
        for wrong in [
            "http://h:1|up",
            "https://h:1|up|< 1",
            "http://h:1|up|~ 1",
            "http://h:1|up|< x",
            "http://h:1||< 1",
            "h:1|up|< 1",
        ] {
            let problem = prometheus(wrong).unwrap_err();
            assert!(
                problem.detail.starts_with("gate_prometheus: "),
                "{problem:?}"
            );
        }
    }
}
