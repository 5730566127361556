//! Settings as they would be written, one key a line. What is left at `None` is left out.
//!
//! Every type is taken apart completely, so that a new key cannot be forgotten here.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use swap_core::{AppName, OnFail, Release, Share, duration};

use crate::{
    AccessLog, Acme, Admin, App, Canary, CertificateFiles, ClientCertificates, Cohort, Control,
    Hold, Limits, Listen, Probe, Protocol, ResumeRate, Server, Settings, Sign, Sticky, Timeouts,
    Tls, Upstream, UpstreamTls, size,
};

/// Dotted keys and their values in TOML.
pub(crate) fn lines(settings: &Settings) -> BTreeMap<String, String> {
    let Settings {
        server,
        limits,
        control,
        admin,
        acme,
        listen,
        apps,
    } = settings;
    let mut lines = Lines::default();
    lines.server(server);
    lines.limits(limits);
    lines.control(control);
    if let Some(Admin { listen }) = admin {
        lines.put("admin", "listen", text(listen));
    }
    if let Some(acme) = acme {
        lines.acme(acme);
    }
    let listeners = list(listen.iter().map(listener));
    lines.0.insert("listen".to_owned(), listeners);
    for (name, app) in apps {
        lines.app(&key_of(name), app);
    }
    lines.0
}

/// `app.web`; a name with a dot in it stands in quotes.
pub(crate) fn key_of(name: &AppName) -> String {
    let name = name.as_str();
    if name.contains('.') {
        format!("app.\"{name}\"")
    } else {
        format!("app.{name}")
    }
}

fn listener(listen: &Listen) -> String {
    let Listen {
        address,
        tls,
        redirect,
        proxy_protocol,
    } = listen;
    let mut keys = vec![format!("address = {}", text(address))];
    keys.extend(tls.as_ref().map(|tls| format!("tls = {}", self::tls(tls))));
    if *redirect {
        keys.push("redirect = true".to_owned());
    }
    if *proxy_protocol {
        keys.push("proxy_protocol = true".to_owned());
    }
    inline(&keys)
}

fn tls(tls: &Tls) -> String {
    let Tls {
        certificates,
        acme,
        clients,
    } = tls;
    let files = |CertificateFiles { certificate, key }: &CertificateFiles| {
        let (certificate, key) = (text(certificate.display()), text(key.display()));
        vec![
            format!("certificate = {certificate}"),
            format!("key = {key}"),
        ]
    };
    let mut certificates = certificates.iter().map(files);
    let mut keys = certificates.next().unwrap_or_default();
    let also: Vec<_> = certificates.map(|files| inline(&files)).collect();
    if !also.is_empty() {
        keys.push(format!("also = {}", list(also.into_iter())));
    }
    if !acme.is_empty() {
        keys.push(format!("acme = {}", list(acme.iter().map(text))));
    }
    if let Some(ClientCertificates { ca, required }) = clients {
        keys.push(format!("client_ca = {}", text(ca.display())));
        keys.push(format!("client_required = {required}"));
    }
    inline(&keys)
}

/// With its secret.
fn cohort(Cohort { name, sign }: &Cohort) -> String {
    let pair = |name: &str, value: &str| {
        inline(&[
            format!("name = {}", text(name)),
            format!("value = {}", text(value)),
        ])
    };
    let sign = match sign {
        Sign::Header { name, value } => format!("header = {}", pair(name, value)),
        Sign::Cookie { name, value } => format!("cookie = {}", pair(name, value)),
        Sign::Clients(networks) => format!("clients = {}", list(networks.iter().map(text))),
    };
    inline(&[format!("name = {}", text(name)), sign])
}

fn inline(keys: &[String]) -> String {
    format!("{{ {} }}", keys.join(", "))
}

#[derive(Debug, Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn put(&mut self, table: &str, key: &str, value: impl Display) {
        self.0.insert(format!("{table}.{key}"), value.to_string());
    }

    fn server(&mut self, server: &Server) {
        let Server {
            workers,
            state_dir,
            access_log,
            trusted,
        } = server;
        self.put("server", "workers", workers);
        if let Some(path) = state_dir {
            self.put("server", "state_dir", text(path.display()));
        }
        let access_log = match access_log {
            AccessLog::Off => text("off"),
            AccessLog::Stdout => text("stdout"),
            AccessLog::File(path) => text(path.display()),
        };
        self.put("server", "access_log", access_log);
        self.put("server", "trusted", list(trusted.iter().map(text)));
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits {
            handshake,
            head,
            idle,
            body_pause,
            body_grace,
            body_rate,
            write,
            head_size,
            target_size,
            fields,
            streams,
            connections,
        } = limits;
        for (key, time) in [
            ("handshake", handshake),
            ("head", head),
            ("idle", idle),
            ("body_pause", body_pause),
            ("body_grace", body_grace),
            ("write", write),
        ] {
            self.put("limits", key, length(*time));
        }
        for (key, octets) in [("head_size", head_size), ("target_size", target_size)] {
            self.put("limits", key, text(size::text(*octets as u64)));
        }
        self.put("limits", "body_rate", body_rate);
        self.put("limits", "fields", fields);
        self.put("limits", "streams", streams);
        if let Some(connections) = connections {
            self.put("limits", "connections", connections);
        }
    }

    fn control(&mut self, control: &Control) {
        let Control {
            socket,
            mode,
            users,
        } = control;
        if let Some(path) = socket {
            self.put("control", "socket", text(path.display()));
        }
        self.put("control", "mode", text(format!("{mode:04o}")));
        self.put("control", "users", list(users.iter().map(text)));
    }

    fn acme(&mut self, acme: &Acme) {
        let Acme {
            directory,
            contact,
            root,
            challenge,
        } = acme;
        self.put("acme", "agree", true);
        self.put("acme", "directory", text(directory));
        self.put("acme", "contact", list(contact.iter().map(text)));
        if let Some(root) = root {
            self.put("acme", "root", text(root.display()));
        }
        self.put("acme", "challenge", text(challenge.word()));
    }

    fn app(&mut self, table: &str, app: &App) {
        let App {
            hosts,
            paths,
            strip_prefix,
            release_header,
            release,
            upstream,
            probe,
            hold,
            timeouts,
            canary,
            cohorts,
            affinity,
        } = app;
        self.put(table, "hosts", list(hosts.iter().map(text)));
        self.put(table, "paths", list(paths.iter().map(text)));
        self.put(table, "strip_prefix", strip_prefix);
        let header = release_header.as_ref().map_or("false".to_owned(), text);
        self.put(table, "release_header", header);
        if let Some(Release { id, instances }) = release {
            self.put(table, "release.id", text(id));
            self.put(table, "release.instances", list(instances.iter().map(text)));
        }
        self.upstream(&format!("{table}.upstream"), upstream);
        self.probe(&format!("{table}.probe"), probe);
        self.hold(&format!("{table}.hold"), hold);
        self.timeouts(&format!("{table}.timeouts"), timeouts);
        self.canary(&format!("{table}.canary"), canary);
        self.put(table, "cohort", list(cohorts.iter().map(cohort)));
        self.put(table, "affinity", length(*affinity));
    }

    fn upstream(&mut self, table: &str, Upstream { protocol, tls }: &Upstream) {
        let protocol = match protocol {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
        };
        self.put(table, "protocol", text(protocol));
        let Some(UpstreamTls { ca, name, shown }) = tls else {
            return;
        };
        self.put(table, "tls.ca", text(ca.display()));
        if let Some(name) = name {
            self.put(table, "tls.name", text(name));
        }
        if let Some(CertificateFiles { certificate, key }) = shown {
            self.put(table, "tls.certificate", text(certificate.display()));
            self.put(table, "tls.key", text(key.display()));
        }
    }

    fn probe(&mut self, table: &str, probe: &Probe) {
        let Probe {
            path,
            grpc,
            interval,
            timeout,
            passes,
        } = probe;
        self.put(table, "path", text(path));
        if let Some(service) = grpc {
            self.put(table, "grpc", text(service));
        }
        self.put(table, "interval", length(*interval));
        self.put(table, "timeout", length(*timeout));
        self.put(table, "passes", passes);
    }

    fn hold(&mut self, table: &str, hold: &Hold) {
        let Hold {
            max_requests,
            max_bytes,
            max_wait,
            max_share,
            when_down,
            resume_rate,
            answer_probes,
        } = hold;
        self.put(table, "max_requests", max_requests);
        self.put(table, "max_bytes", text(size::text(*max_bytes as u64)));
        self.put(table, "max_wait", length(*max_wait));
        self.put(table, "max_share", max_share);
        self.put(table, "when_down", when_down);
        let rate = match resume_rate {
            ResumeRate::Auto => text("auto"),
            ResumeRate::PerSecond(rate) => rate.to_string(),
        };
        self.put(table, "resume_rate", rate);
        self.put(table, "answer_probes", answer_probes);
    }

    fn timeouts(&mut self, table: &str, timeouts: &Timeouts) {
        let Timeouts {
            boot,
            drain,
            drain_held,
            connect,
            response,
        } = timeouts;
        self.put(table, "boot", length(*boot));
        self.put(table, "drain", length(*drain));
        self.put(table, "drain_held", length(*drain_held));
        self.put(table, "connect", length(*connect));
        self.put(table, "response", length(*response));
    }

    fn canary(&mut self, table: &str, canary: &Canary) {
        let Canary {
            steps,
            step_time,
            watch,
            min_requests,
            alpha,
            min_effect,
            max_error_increase,
            max_latency_increase,
            guard_error_rate,
            sticky,
            on_fail,
            opt_in,
        } = canary;
        self.put(table, "steps", list(steps.iter().map(Share::to_string)));
        self.put(table, "step_time", length(*step_time));
        self.put(table, "watch", length(*watch));
        self.put(table, "min_requests", min_requests);
        self.put(table, "alpha", alpha);
        self.put(table, "min_effect", min_effect);
        self.put(table, "max_error_increase", max_error_increase);
        self.put(table, "max_latency_increase", max_latency_increase);
        self.put(table, "guard_error_rate", guard_error_rate);
        let sticky = match sticky {
            Sticky::Cookie => "cookie",
            Sticky::Client => "client",
            Sticky::None => "none",
        };
        self.put(table, "sticky", text(sticky));
        let on_fail = match on_fail {
            OnFail::Rollback => "rollback",
            OnFail::Freeze => "freeze",
        };
        self.put(table, "on_fail", text(on_fail));
        let opt_in = opt_in.as_ref().map_or("false".to_owned(), |cookie| {
            inline(&[format!("cookie = {}", text(cookie))])
        });
        self.put(table, "opt_in", opt_in);
    }
}

/// A TOML text.
fn text(value: impl Display) -> String {
    toml::Value::from(value.to_string()).to_string()
}

fn length(value: Duration) -> String {
    text(duration::text(value))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_means_the_same_settings_again() {
        let settings = |text: &str| match Settings::parse(text, "written.toml") {
            Ok(checked) => checked.settings,
            Err(errors) => panic!("{errors}\n{text}"),
        };
        let every_key = "listen = [{ address = \"[::1]:80\", proxy_protocol = true }]\nadmin.listen = \"127.0.0.1:9900\"\n\
            server = { workers = 3, state_dir = \"/s \\\"t\\\"\", access_log = \"/log\", \
            trusted = [\"10.0.0.0/8\", \"::1\"] }\n\
            limits = { handshake = \"1s\", head = \"2s\", idle = \"3s\", body_pause = \"4s\", body_grace = \"5s\", \
            body_rate = 6, write = \"7s\", head_size = \"9KiB\", target_size = \"1KiB\", fields = 11, streams = 12, \
            connections = 13 }\n\
            control = { socket = \"/c\", mode = \"0660\", users = [\"a\", \"b\"] }\n\
            [app.\"a.b\"]\nhosts = [\"a.example\", \"*.b.example\"]\npaths = [\"/x\", \"/y\"]\n\
            strip_prefix = true\nrelease_header = false\n\
            release = { id = \"r\", instances = [\"unix:/a\", \"[::1]:1\"] }\n\
            upstream = { protocol = \"http2\", tls = { ca = \"/ca\", name = \"n\", certificate = \"/c\", key = \"/k\" } }\n\
            probe = { path = \"/p\", grpc = \"s.V\", interval = \"2s\", timeout = \"3s\", passes = 4 }\n\
            [app.\"a.b\".hold]\nmax_requests = 5\nmax_bytes = \"6KiB\"\nmax_wait = \"10m7s\"\n\
            max_share = 0.8\nwhen_down = false\nresume_rate = 9\nanswer_probes = false\n\
            [app.\"a.b\".timeouts]\nboot = \"10s\"\ndrain = \"12s\"\ndrain_held = \"11s\"\n\
            connect = \"13ms\"\nresponse = \"1d\"\n\
            [app.\"a.b\".canary]\nsteps = [0.0001, 2.5, 100]\nstep_time = \"30s\"\nwatch = \"0s\"\nmin_requests = 20\n\
            alpha = 0.000001\nmin_effect = 1\nmax_error_increase = -0.0\nmax_latency_increase = 2\n\
            guard_error_rate = 1e-2\nsticky = \"none\"\non_fail = \"freeze\"\nopt_in = { cookie = \"c\" }\n\
            [[app.\"a.b\".cohort]]\nname = \"h\"\nheader = { name = \"X-H\", value = \"a \\\"b\\\\\" }\n\
            [[app.\"a.b\".cohort]]\nname = \"c\"\ncookie = { name = \"k\", value = \"=1=\" }\n\
            [[app.\"a.b\".cohort]]\nname = \"n\"\nclients = [\"10.0.0.0/8\", \"::1\"]\n\
            [app.\"b\"]\nhosts = [\"b\"]\naffinity = \"1h\"\ncanary = { sticky = \"client\", opt_in = false }\n";
        let acme = "acme = { agree = true, directory = \"https://a.example/d\", contact = [\"mailto:a@b.example\"], \
            root = \"/r\", challenge = \"http-01\" }\nlisten = [{ address = \"[::1]:443\", \
            tls = { acme = [\"a.example\"] } }, { address = \"[::1]:444\", \
            tls = { acme = [\"b.example\"], certificate = \"/c\", key = \"/k\", client_ca = \"/a\" } }]\n[app.web]";
        for text in [
            every_key,
            acme,
            "listen = [{ address = \"[::1]:80\" }]\n[app.web]",
        ] {
            let meant = settings(text);
            let lines = lines(&meant).into_iter();
            let written: String = lines.map(|(k, v)| format!("{k} = {v}\n")).collect();
            assert_eq!(settings(&written), meant, "{written}");
        }
    }
}
