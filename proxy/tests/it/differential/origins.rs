//! Programs that people put behind a proxy, as Debian has them, each made to say what it saw (`X-Saw`).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::recorder::Recorder;
use super::replay::App;
use crate::client::until;

/// How long a program may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Apache,
    Lighttpd,
    Node,
    Gunicorn,
    Aiohttp,
    Puma,
}

const ALL: [Kind; 7] = [
    Kind::Nginx,
    Kind::Apache,
    Kind::Lighttpd,
    Kind::Node,
    Kind::Gunicorn,
    Kind::Aiohttp,
    Kind::Puma,
];

/// Those that are installed, which must be all of them where none may be left out.
pub(super) fn installed() -> Vec<Kind> {
    let none_may_miss = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
    let mut there = Vec::new();
    for kind in ALL {
        if kind.is_installed() {
            there.push(kind);
            continue;
        }
        assert!(!none_may_miss, "{kind:?} is not installed");
        eprintln!("skipped: {kind:?} is not installed");
    }
    there
}

impl Kind {
    /// What is run. Debian's Python modules are seen by Debian's Python only.
    fn program(self) -> PathBuf {
        match self {
            Self::Nginx => find("nginx"),
            Self::Apache => find("apache2"),
            Self::Lighttpd => find("lighttpd"),
            Self::Node => find("node"),
            Self::Gunicorn => find("gunicorn"),
            Self::Aiohttp => "/usr/bin/python3".into(),
            Self::Puma => find("puma"),
        }
    }

    fn is_installed(self) -> bool {
        let module = Path::new("/usr/lib/python3/dist-packages/aiohttp");
        self.program().is_file() && (self != Self::Aiohttp || module.is_dir())
    }

    /// The file that makes it tell, and its name.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Nginx => ("nginx.conf", include_str!("apps/nginx.conf")),
            Self::Apache => ("apache.conf", include_str!("apps/apache.conf")),
            Self::Lighttpd => ("lighttpd.conf", include_str!("apps/lighttpd.conf")),
            Self::Node => ("node.js", include_str!("apps/node.js")),
            Self::Gunicorn => ("wsgi.py", include_str!("apps/wsgi.py")),
            Self::Aiohttp => ("aiohttp_app.py", include_str!("apps/aiohttp_app.py")),
            Self::Puma => ("config.ru", include_str!("apps/config.ru")),
        }
    }

    fn arguments(self, source: &str, address: SocketAddr) -> String {
        match self {
            Self::Nginx => format!("-c {source}"),
            Self::Apache => format!("-DFOREGROUND -f {source}"),
            Self::Lighttpd => format!("-D -f {source}"),
            Self::Node | Self::Aiohttp => source.to_owned(),
            // Its other workers never keep a connection.
            Self::Gunicorn => {
                format!("-k gthread --threads 8 --keep-alive 5 -b {address} wsgi:app")
            }
            Self::Puma => format!("-q -t 8:8 -e production -b tcp://{address} {source}"),
        }
    }
}

/// The version that a program says it has: the first word that has a dot between digits.
fn version(kind: Kind) -> String {
    let argument = match kind {
        Kind::Nginx | Kind::Apache | Kind::Lighttpd => "-v",
        Kind::Node | Kind::Gunicorn | Kind::Puma => "--version",
        Kind::Aiohttp => "-cimport aiohttp; print(aiohttp.__version__)",
    };
    let said = Command::new(kind.program()).arg(argument).output().unwrap();
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut words = said.split(|it: char| !it.is_ascii_digit() && it != '.');
    let version =
        words.find(|word| word.starts_with(|it: char| it.is_ascii_digit()) && word.contains('.'));
    version.unwrap_or("?").to_owned()
}

/// Where a program is. Debian has servers where only root looks.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut places = directories.map(|it| it.join(program));
    places.find(|it| it.is_file()).unwrap_or_default()
}

/// A program, running. Dropping it ends it.
pub(super) struct RealOrigin {
    pub(super) kind: Kind,
    pub(super) version: String,
    address: SocketAddr,
    child: Child,
    _recorder: Recorder,
    _home: TempDir,
}

impl RealOrigin {
    /// Begins to start it.
    pub(super) async fn start(kind: Kind) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Who is started by root and gives that up must still get in.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let recorder = Recorder::start().await;
        let address = free_address();
        let (name, text) = kind.source();
        let source = home.path().join(name);
        fs::write(&source, fill(text, home.path(), address, recorder.address)).unwrap();
        let arguments = kind.arguments(&source.display().to_string(), address);
        let child = Command::new(kind.program())
            .args(arguments.split(' '))
            .current_dir(home.path())
            .env("HOST", address.ip().to_string())
            .env("PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        Self {
            kind,
            version: version(kind),
            address,
            child,
            _recorder: recorder,
            _home: home,
        }
    }

    pub(super) fn app(&self) -> App {
        App {
            address: self.address,
            folds_methods: self.kind == Kind::Gunicorn,
        }
    }

    /// Waits until it can be talked to.
    pub(super) async fn listens(&self) {
        let listens = async || TcpStream::connect(self.address).await.is_ok();
        until(&format!("{:?} listens", self.kind), listens).await;
    }
}

impl Drop for RealOrigin {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        // Those of its children that it left behind, too.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// An address that nobody else takes between now and when the program does: every program has a host of its own.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let listener = std::net::TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap()
}

fn fill(text: &str, home: &Path, address: SocketAddr, recorder: SocketAddr) -> String {
    text.replace("@DIR@", &home.display().to_string())
        .replace("@ADDRESS@", &address.to_string())
        .replace("@HOST@", &address.ip().to_string())
        .replace("@PORT@", &address.port().to_string())
        .replace("@RECORDER@", &recorder.to_string())
        .replace("@RECORDER_HOST@", &recorder.ip().to_string())
        .replace("@RECORDER_PORT@", &recorder.port().to_string())
}
