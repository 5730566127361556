//! What a configuration means, once and for all: every default filled in, every text parsed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use swap_core::{AppName, OnFail, Release, Share};

use crate::{Network, Warnings};

/// A configuration that is sound, and what is odd about it all the same.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it means.
    pub settings: Settings,
    /// What is allowed but hardly meant.
    pub warnings: Warnings,
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[control]`
    pub control: Control,
    /// `[admin]`, off unless named.
    pub admin: Option<Admin>,
    /// `[acme]`: from whom certificates are had that are in no file.
    pub acme: Option<Acme>,
    /// `[[listen]]`, at least one.
    pub listen: Vec<Listen>,
    /// `[app.NAME]`, at least one.
    pub apps: BTreeMap<AppName, App>,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// Where the journal lives, if the file says so.
    pub state_dir: Option<PathBuf>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// Proxies in front whose word about a client is believed.
    pub trusted: Vec<Network>,
}

/// `[limits]`: what one client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the first octet may take, and a whole head from its first octet on.
    pub head: Duration,
    /// How long a connection without a request is kept.
    pub idle: Duration,
    /// The longest pause within a request's body.
    pub body_pause: Duration,
    /// How long a body may be waited for in all, besides what `body_rate` allows.
    pub body_grace: Duration,
    /// Octets a second at which a body must come.
    pub body_rate: u32,
    /// How long a client may take nothing of its answer.
    pub write: Duration,
    /// The longest head, in octets.
    pub head_size: usize,
    /// The longest target, in octets.
    pub target_size: usize,
    /// The most fields of a head.
    pub fields: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Clients that are connected at once; none: as many as open files allow.
    pub connections: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_pause: Duration::from_secs(30),
            body_grace: Duration::from_secs(20),
            body_rate: 240,
            write: Duration::from_secs(60),
            head_size: 32 << 10,
            target_size: 8 << 10,
            fields: 100,
            streams: 100,
            connections: None,
        }
    }
}

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// `[control]`
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The socket's path, if the file says so.
    pub socket: Option<PathBuf>,
    /// Its permission bits.
    pub mode: u32,
    /// Who may command, besides root and the daemon's own user.
    pub users: Vec<String>,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where metrics and health are served.
    pub listen: SocketAddr,
}

/// `[acme]`, whose being there says that the authority's terms are agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The URL at which the authority says where everything else is (RFC 8555, 7.1.1).
    pub directory: String,
    /// URLs under which the authority finds a person, `mailto:` all of them.
    pub contact: Vec<String>,
    /// PEM of those who may sign the certificate of the authority's own server, besides those the system trusts.
    pub root: Option<PathBuf>,
    /// How it is proven that the names are ours.
    pub challenge: Challenge,
}

/// How it is proven to an authority that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// By a resource over plain HTTP at port 80 (RFC 8555, 8.3).
    Http01,
    /// By a certificate over TLS at port 443 (RFC 8737).
    TlsAlpn01,
}

impl Challenge {
    /// As it is written, in the file and by the authority.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// `[[listen]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Where clients connect.
    pub address: SocketAddr,
    /// TLS; plain HTTP without it.
    pub tls: Option<Tls>,
    /// Whether every request is sent to the same address with `https` instead of to an app.
    pub redirect: bool,
    /// Whether every connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

impl Listen {
    /// Plain HTTP for the apps.
    pub const fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            redirect: false,
            proxy_protocol: false,
        }
    }
}

/// `tls` of a `[[listen]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// The first is for clients that name no host, or one that no certificate has. None only if `acme` has a name.
    pub certificates: Vec<CertificateFiles>,
    /// Names, in lower case, for which certificates are asked of the authority of `[acme]`.
    pub acme: Vec<String>,
    /// Whose clients' certificates are asked for.
    pub clients: Option<ClientCertificates>,
}

/// A certificate with its chain, and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate first, then those that sign it.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Certificates that clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Those who sign them, PEM.
    pub ca: PathBuf,
    /// Whether who shows none is turned away.
    pub required: bool,
}

/// `[app.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Lower-case hosts, `*.suffix` among them; empty: every host.
    pub hosts: Vec<String>,
    /// Path prefixes, at least one, matched on whole segments.
    pub paths: Vec<String>,
    /// Whether the prefix is taken off before the upstream sees the path.
    pub strip_prefix: bool,
    /// The field that names the release on every response.
    pub release_header: Option<String>,
    /// The first release; only until the journal knows better.
    pub release: Option<Release>,
    /// `[app.NAME.upstream]`
    pub upstream: Upstream,
    /// `[app.NAME.probe]`
    pub probe: Probe,
    /// `[app.NAME.hold]`
    pub hold: Hold,
    /// `[app.NAME.timeouts]`
    pub timeouts: Timeouts,
    /// `[app.NAME.canary]`
    pub canary: Canary,
    /// `[[app.NAME.cohort]]`: who always sees the next release.
    pub cohorts: Vec<Cohort>,
    /// For how long after a swap what only the old release has is still had from it. Zero: not at all.
    pub affinity: Duration,
}

/// `[app.NAME.canary]`
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// Growing; the last one is everybody.
    pub steps: Vec<Share>,
    /// At least so long for each step.
    pub step_time: Duration,
    /// How long it is judged on with everybody, the old release kept warm.
    pub watch: Duration,
    /// With fewer in an arm there is no verdict.
    pub min_requests: u64,
    /// The chance of a false alarm over the whole rollout.
    pub alpha: f64,
    /// A pass that would not have seen an increase of this is none.
    pub min_effect: f64,
    /// The increase of errors that counts as the same.
    pub max_error_increase: f64,
    /// The ratio of latencies that counts as the same.
    pub max_latency_increase: f64,
    /// So many errors are too many, whatever the tests say.
    pub guard_error_rate: f64,
    /// By what a client is known again.
    pub sticky: Sticky,
    /// What follows a *no*.
    pub on_fail: OnFail,
    /// The cookie of those who want the next release; none: nobody can ask for it.
    pub opt_in: Option<String>,
}

impl Default for Canary {
    fn default() -> Self {
        let per_cent = |share: u32| Share::millionths(share * 10_000);
        Self {
            steps: [1, 5, 25, 50, 100].map(per_cent).to_vec(),
            step_time: Duration::from_secs(60),
            watch: Duration::from_secs(5 * 60),
            min_requests: 100,
            alpha: 0.01,
            min_effect: 0.02,
            max_error_increase: 0.0,
            max_latency_increase: 1.25,
            guard_error_rate: 0.5,
            sticky: Sticky::Cookie,
            on_fail: OnFail::Rollback,
            opt_in: Some("holdfast_next".to_owned()),
        }
    }
}

/// By what a client is known again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sticky {
    /// A cookie of ours.
    #[default]
    Cookie,
    /// Its address (IPv6: its /64).
    Client,
    /// Nothing: each request is drawn for itself.
    None,
}

/// `[[app.NAME.cohort]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// What it is called.
    pub name: String,
    /// By what who belongs to it is known.
    pub sign: Sign,
}

/// By what it is known who belongs to a cohort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A field with this value.
    Header {
        /// In lower case.
        name: String,
        /// A secret.
        value: String,
    },
    /// A cookie with this value.
    Cookie {
        /// Its name.
        name: String,
        /// A secret.
        value: String,
    },
    /// Addresses.
    Clients(Vec<Network>),
}

/// `[app.NAME.upstream]`: how its instances are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Which HTTP.
    pub protocol: Protocol,
    /// TLS; plain without it.
    pub tls: Option<UpstreamTls>,
}

/// The version of HTTP that an app speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: agreed on in the TLS handshake, or known beforehand.
    Http2,
}

/// `tls` of an app's `upstream`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Those who sign the instances' certificates, PEM.
    pub ca: PathBuf,
    /// The name that has to be in the certificates; without it the instance's IP address.
    pub name: Option<String>,
    /// The certificate that we show.
    pub shown: Option<CertificateFiles>,
}

/// `[app.NAME.probe]`
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What is asked for; 2xx passes.
    pub path: String,
    /// The service whose health is asked for instead, with gRPC; an empty name: the whole server's.
    pub grpc: Option<String>,
    /// How often a live release is looked at. 100 ms while something waits for it.
    pub interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// How many in a row.
    pub passes: u32,
}

/// `[app.NAME.hold]`
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// How many requests may wait.
    pub max_requests: usize,
    /// How many bytes they may take, heads and buffered bodies together.
    pub max_bytes: usize,
    /// How long one may wait.
    pub max_wait: Duration,
    /// The share of `max_requests` that one client address may take, once the hold is half full.
    pub max_share: f64,
    /// Whether to hold when the live release cannot be reached.
    pub when_down: bool,
    /// How fast the held requests go.
    pub resume_rate: ResumeRate,
    /// Whether the app's probe path is answered 200 by us while it is held, for an outer balancer.
    pub answer_probes: bool,
}

/// How fast held requests go once the door opens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ResumeRate {
    /// From the concurrency that the old release ran with, growing while answers come.
    #[default]
    Auto,
    /// So many requests a second.
    PerSecond(u32),
}

/// `[app.NAME.timeouts]`
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// How long a new release may take to get ready.
    pub boot: Duration,
    /// How long running requests of an old release may take to end.
    pub drain: Duration,
    /// The same with strategy hold, where clients wait meanwhile.
    pub drain_held: Duration,
    /// How long a connect may take.
    pub connect: Duration,
    /// How long the head of an answer may take.
    pub response: Duration,
}
