//! The metrics, as text for Prometheus. Collected only when somebody asks; no label ever carries a path or a client's
//! text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use holdfast_control::Counted;
use holdfast_control::plane::Traffic;

use crate::counters::{BUCKETS_US, Distribution, Loss, SHED};
use crate::log;
use crate::plane::Survey;
use crate::tls::Expiry;

/// One page of metrics in the making.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn finish(self) -> String {
        self.0
    }

    /// What is counted for the apps.
    pub(crate) fn apps(&mut self, apps: &[(Survey, Traffic)]) {
        self.family(
            "holdfast_requests_total",
            "counter",
            "Answers of the app, by class of their status.",
        );
        for (survey, _) in apps {
            for (release, cells) in &survey.releases {
                for (class, index) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(0..) {
                    let count = cells.sum(|cells| cells.answers[index].read());
                    let labels = [app(survey), ("release", release.as_str()), ("code", class)];
                    self.sample("holdfast_requests_total", &labels, count);
                }
            }
        }
        self.family(
            "holdfast_request_seconds",
            "histogram",
            "From the head's arrival to the answer's end, without the time held.",
        );
        for (survey, _) in apps {
            for (release, cells) in &survey.releases {
                let labels = [app(survey), ("release", release.as_str())];
                self.histogram("holdfast_request_seconds", &labels, &cells.seconds());
            }
        }
        self.family(
            "holdfast_in_flight",
            "gauge",
            "Requests running on a release.",
        );
        for (survey, _) in apps {
            for (release, cells) in &survey.releases {
                let count = cells.sum(|cells| cells.in_flight.read());
                self.sample(
                    "holdfast_in_flight",
                    &[app(survey), ("release", release.as_str())],
                    count,
                );
            }
        }
        self.family(
            "holdfast_hold_seconds",
            "histogram",
            "How long requests were held.",
        );
        for (survey, _) in apps {
            let held = survey.app.counters.held_seconds();
            self.histogram("holdfast_hold_seconds", &[app(survey)], &held);
        }
        self.gauge(
            apps,
            "holdfast_held_requests",
            "Requests that wait now.",
            |traffic| traffic.hold.waiting,
        );
        self.gauge(
            apps,
            "holdfast_held_bytes",
            "What the waiting requests take.",
            |traffic| traffic.hold.waiting_bytes,
        );
        self.family(
            "holdfast_shed_total",
            "counter",
            "Requests refused by a hold, by reason.",
        );
        for (survey, _) in apps {
            for (index, (_, reason)) in SHED.iter().enumerate() {
                let count = survey.app.counters.sum(|cells| cells.shed[index].read());
                self.sample(
                    "holdfast_shed_total",
                    &[app(survey), ("reason", reason)],
                    count,
                );
            }
        }
        self.family(
            "holdfast_retried_total",
            "counter",
            "Requests of which octets were sent twice.",
        );
        for (survey, traffic) in apps {
            self.sample("holdfast_retried_total", &[app(survey)], traffic.retried);
        }
        self.family("holdfast_lost_total", "counter", "Accepted requests that ended without the app's answer and without their client leaving.");
        for (survey, _) in apps {
            for loss in Loss::ALL {
                let count = survey
                    .app
                    .counters
                    .sum(|cells| cells.lost[loss as usize].read());
                self.sample(
                    "holdfast_lost_total",
                    &[app(survey), ("reason", loss.word())],
                    count,
                );
            }
        }
    }

    /// What the control plane has done.
    pub(crate) fn swaps(&mut self, swaps: &Counted) {
        self.family(
            "holdfast_swaps_total",
            "counter",
            "Promotes and rollbacks that have ended, by outcome.",
        );
        for ((app, outcome), count) in &swaps.outcomes {
            let labels = [("app", app.as_str()), ("outcome", *outcome)];
            self.sample("holdfast_swaps_total", &labels, *count);
        }
        self.family(
            "holdfast_swap_seconds",
            "summary",
            "How long the phases of swaps took.",
        );
        for ((app, phase), (sum, count)) in &swaps.phases {
            let labels = [("app", app.as_str()), ("phase", *phase)];
            self.sample("holdfast_swap_seconds_sum", &labels, sum.as_secs_f64());
            self.sample("holdfast_swap_seconds_count", &labels, *count);
        }
        self.family(
            "holdfast_generation",
            "gauge",
            "Number of the published tables; only grows.",
        );
        self.sample(
            "holdfast_generation",
            &[],
            swaps.generations.values().sum::<u64>(),
        );
    }

    /// When the listeners' certificates end.
    /// One that serves at several listeners is told once; of several with one name, the one that ends first.
    pub(crate) fn certificates(&mut self, expiries: impl IntoIterator<Item = Expiry>) {
        let mut first = BTreeMap::new();
        for Expiry { name, at } in expiries {
            let ends = first.entry(name).or_insert(at);
            *ends = at.min(*ends);
        }
        let name = "holdfast_certificate_expiry_timestamp_seconds";
        self.family(name, "gauge", "When a certificate ends, in Unix time.");
        for (host, at) in &first {
            let at = at
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            self.sample(name, &[("name", host)], at.as_secs());
        }
    }

    /// What is known of the process.
    pub(crate) fn process(&mut self, listeners: &str, connections: usize, access_dropped: u64) {
        self.family("holdfast_connections", "gauge", "Client connections.");
        self.sample(
            "holdfast_connections",
            &[("listener", listeners)],
            connections,
        );
        self.family(
            "holdfast_access_log_dropped_total",
            "counter",
            "Lines of the access log that its reader was too slow for.",
        );
        self.sample("holdfast_access_log_dropped_total", &[], access_dropped);
        self.family(
            "holdfast_log_dropped_total",
            "counter",
            "Lines of the daemon's log that its reader was too slow for.",
        );
        self.sample("holdfast_log_dropped_total", &[], log::dropped());
        self.family("holdfast_build_info", "gauge", "The version that runs.");
        self.sample(
            "holdfast_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
    }

    fn gauge(
        &mut self,
        apps: &[(Survey, Traffic)],
        name: &str,
        help: &str,
        of: impl Fn(&Traffic) -> u64,
    ) {
        self.family(name, "gauge", help);
        for (survey, traffic) in apps {
            self.sample(name, &[app(survey)], of(traffic));
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            // App names, release ids and our own words need no escapes; a listener's address neither.
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], all: &Distribution) {
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        #[allow(clippy::cast_precision_loss, reason = "bounds are small")]
        let bounds = BUCKETS_US.iter().map(|us| (*us as f64 / 1e6).to_string());
        for (bound, here) in bounds.chain(["+Inf".to_owned()]).zip(all.buckets) {
            count += here;
            let with_bound = [labels, &[("le", bound.as_str())]].concat();
            self.sample(&bucket, &with_bound, count);
        }
        let sum = Duration::from_micros(all.sum_us).as_secs_f64();
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, count);
    }
}

fn app(survey: &Survey) -> (&'static str, &str) {
    ("app", survey.app.name.as_str())
}
