//! One hold of so many, from a fresh daemon to one that is calm again.

use std::path::PathBuf;
use std::time::Duration;

use holdfast_control::wire::AppStatus;
use holdfast_load::clock::Moment;
use tokio::time::{Instant, sleep};

use super::judge::Order;
use crate::cli::Options;
use crate::daemon::{Daemon, Setting};
use crate::lean::{App, Arrival, Child, Crowd, Kind, Sent, certificate, read_sent};
use crate::stage::Place;
use crate::swapctl_child::Swapctl;
use crate::trouble::Trouble;

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(180);
/// Connections may be open for so long before they ask.
const PATIENT: &str = "10m";
/// Requests a second while the hold fills.
const RATE: f64 = 20_000.0;
/// When all ask in one moment.
const AT_ONCE: f64 = 1e9;
/// Requests before the first look at the memory.
const WARM_UP: u32 = 200;
/// Until a daemon that has just answered is as it is at rest.
const REST: Duration = Duration::from_secs(3);
/// The daemon looks every ten seconds, and gives back what has been free for as long.
const GIVEN_BACK: Duration = Duration::from_secs(22);
const RESTED_FROM: u32 = 5_000;
/// Memory is given back within so long.
const CALM_WITHIN: Duration = Duration::from_secs(40);
const CALM_POLL: Duration = Duration::from_millis(200);

/// How many ask, on how many connections.
#[derive(Clone, Copy, Debug)]
pub(in crate::scenario) struct Size {
    pub(in crate::scenario) connections: u32,
    pub(in crate::scenario) requests: u32,
    /// So many are sent before it is looked whether they are held.
    pub(in crate::scenario) batch: u32,
}

impl Size {
    /// With fewer, what the allocator takes and gives at a time is more than what they take.
    pub(in crate::scenario) fn tells_memory(self) -> bool {
        self.requests >= 1_000
    }

    /// All ask in one moment, and not one batch after the other.
    fn is_at_once(self) -> bool {
        self.batch == self.requests
    }
}

/// What was seen of a hold.
pub(in crate::scenario) struct Cell {
    pub(in crate::scenario) kind: Kind,
    pub(in crate::scenario) size: Size,
    pub(in crate::scenario) sent: Vec<Sent>,
    /// In the order in which the app got them.
    pub(in crate::scenario) arrivals: Vec<Arrival>,
    pub(in crate::scenario) order: Order,
    /// From `resume` to the last answer.
    pub(in crate::scenario) release: Duration,
    pub(in crate::scenario) before_kib: u64,
    pub(in crate::scenario) held_kib: u64,
    /// The same once the daemon has looked for what it may give back; only with many.
    pub(in crate::scenario) rested_kib: Option<u64>,
    pub(in crate::scenario) after_kib: u64,
    /// How long after the clients had gone that was.
    pub(in crate::scenario) calm: Duration,
}

impl Cell {
    pub(in crate::scenario) fn name(&self) -> String {
        let at_once = if self.size.is_at_once() {
            " that ask in one moment"
        } else {
            ""
        };
        format!("{}, {} held{at_once}", self.kind.name(), self.size.requests)
    }

    pub(in crate::scenario) fn kib_each(&self) -> f64 {
        let grown = self.held_kib.saturating_sub(self.before_kib);
        grown as f64 / f64::from(self.size.requests)
    }

    /// The same once it has given back what it may.
    pub(in crate::scenario) fn rested_kib_each(&self) -> Option<f64> {
        let grown = self.rested_kib?.saturating_sub(self.before_kib);
        Some(grown as f64 / f64::from(self.size.requests))
    }
}

/// A daemon before a lean app, both new.
pub(in crate::scenario) struct Site {
    pub(in crate::scenario) daemon: Daemon,
    pub(in crate::scenario) swapctl: Swapctl,
    pub(in crate::scenario) app: App,
    pub(in crate::scenario) directory: PathBuf,
    kind: Kind,
    certificate: PathBuf,
    tells_memory: bool,
}

impl Site {
    pub(in crate::scenario) async fn open(
        options: &Options,
        place: &Place,
        kind: Kind,
        size: Size,
    ) -> Result<Self, Trouble> {
        let app = App::start(1, None).await?;
        Self::before(app, options, place, kind, size, PATIENT).await
    }

    /// The same before this app, with so much time for a head: by that the daemon looks at its connections.
    pub(in crate::scenario) async fn before(
        app: App,
        options: &Options,
        place: &Place,
        kind: Kind,
        size: Size,
        head: &str,
    ) -> Result<Self, Trouble> {
        let directory = place.path().join(format!("{kind:?}-{}", size.requests));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).map_err(|why| Trouble::io("no directory", why))?;
        let swapctl = Swapctl {
            program: options.swapctl.clone(),
            socket: directory.join("control.sock"),
        };
        let certificate = certificate::write(&directory)?;
        let hold = format!(
            "max_requests = {}\nmax_share = 1.0\nmax_bytes = \"1GiB\"\nmax_wait = \"10m\"",
            size.requests
        );
        let mut setting = Setting::web(app.addresses[0], &hold, "");
        if kind.is_tls() {
            setting.listen = certificate.listen.clone();
        }
        // A worker keeps a place for the next client, and swapctl's looks and the warm-up come on top.
        let limits = format!(
            "[limits]\nconnections = {}\nhead = {head:?}\nidle = \"10m\"\n\n",
            size.connections + 64
        );
        setting.apps.insert_str(0, &limits);
        let program = options.holdfast.as_deref();
        let daemon = Daemon::start(program, &directory, &setting, &swapctl).await?;
        Ok(Self {
            daemon,
            swapctl,
            app,
            directory,
            kind,
            certificate: certificate.authority,
            tells_memory: size.tells_memory(),
        })
    }

    /// Clients, connected.
    pub(in crate::scenario) async fn crowd(
        &self,
        size: Size,
        rate: f64,
    ) -> Result<Asking, Trouble> {
        let mut asking = self.start(size, rate, false)?;
        asking.child.hear("open", LONG).await?;
        Ok(asking)
    }

    /// Clients that connect when they ask.
    pub(in crate::scenario) fn burst(&self, size: Size) -> Result<Asking, Trouble> {
        self.start(size, RATE, true)
    }

    fn start(&self, size: Size, rate: f64, burst: bool) -> Result<Asking, Trouble> {
        let crowd = Crowd {
            kind: self.kind,
            address: self.daemon.address,
            certificate: self.certificate.clone(),
            connections: size.connections,
            requests: size.requests,
            batch: size.batch,
            rate,
            burst,
            book: self.directory.join("sent"),
        };
        Ok(Asking {
            child: crowd.start()?,
            book: crowd.book,
        })
    }

    /// A few requests, so that all that is made once is made. Then what the daemon takes.
    pub(in crate::scenario) async fn warm_up(&mut self, size: Size) -> Result<u64, Trouble> {
        let requests = if self.kind.is_h2() { WARM_UP } else { 8 };
        let few = Size {
            connections: 8,
            requests,
            batch: requests,
        };
        let mut asking = self.crowd(few, RATE).await?;
        asking.child.tell("go").await?;
        asking.child.hear("sent", LONG).await?;
        asking.finish().await?;
        self.app.arrivals(&self.directory).await?;
        if size.tells_memory() {
            sleep(REST).await;
        }
        self.resident_kib()
    }

    pub(in crate::scenario) fn resident_kib(&self) -> Result<u64, Trouble> {
        Ok(self.daemon.figures()?.resident_kib)
    }
}

/// A crowd at work.
pub(in crate::scenario) struct Asking {
    pub(in crate::scenario) child: Child,
    book: PathBuf,
}

impl Asking {
    /// What became of them, once all are answered.
    pub(in crate::scenario) async fn answered(&mut self) -> Result<Vec<Sent>, Trouble> {
        self.child.hear("done", LONG).await?;
        read_sent(&self.book)
    }

    async fn finish(mut self) -> Result<Vec<Sent>, Trouble> {
        let sent = self.answered().await?;
        self.child.end(LONG).await?;
        Ok(sent)
    }
}

/// Holds so many, and lets them go.
pub(in crate::scenario) async fn hold(
    options: &Options,
    place: &Place,
    kind: Kind,
    size: Size,
) -> Result<Cell, Trouble> {
    let mut site = Site::open(options, place, kind, size).await?;
    let before_kib = site.warm_up(size).await?;
    let hold = site.swapctl.call(&["hold", "--timeout", "9m"]).await?;
    hold.expect_done()?;
    let rate = if size.is_at_once() { AT_ONCE } else { RATE };
    let mut asking = site.crowd(size, rate).await?;
    let mut all = 0;
    while all < size.requests {
        asking.child.tell("go").await?;
        asking.child.hear("sent", LONG).await?;
        all = size.requests.min(all + size.batch);
        let are_held = |status: &AppStatus| status.hold.held == u64::from(all);
        site.swapctl.until("all are held", LONG, are_held).await?;
    }
    let held_kib = site.resident_kib()?;
    let rested_kib = if size.requests >= RESTED_FROM {
        sleep(GIVEN_BACK).await;
        Some(site.resident_kib()?)
    } else {
        None
    };
    let began = Moment::now();
    site.swapctl.call(&["resume"]).await?.expect_done()?;
    let sent = asking.answered().await?;
    let ended = sent.iter().map(|one| one.ended).max().unwrap_or(began);
    let arrivals = site.app.arrivals(&site.directory).await?;
    asking.child.end(LONG).await?;
    let (after_kib, calm) = calm(&site, before_kib).await?;
    Ok(Cell {
        order: Order::of(&arrivals, size),
        kind,
        size,
        sent,
        arrivals,
        release: ended.since(began),
        before_kib,
        held_kib,
        rested_kib,
        after_kib,
        calm,
    })
}

/// What the daemon takes once it takes little more than before, or time is up.
async fn calm(site: &Site, before_kib: u64) -> Result<(u64, Duration), Trouble> {
    let began = Instant::now();
    loop {
        let now = site.resident_kib()?;
        let since = began.elapsed();
        let is_over = since > CALM_WITHIN || !site.tells_memory;
        if super::judge::is_calm(before_kib, now) || is_over {
            return Ok((now, since));
        }
        sleep(CALM_POLL).await;
    }
}
