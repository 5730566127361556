//! A proxy for TCP that does to connections what bad networks and bad apps do: it delays, stalls, slices, cuts, resets,
//! closes late, or is not there. What it does can be changed while connections run.
//!
//! It knows nothing of what passes. It is between a proxy under test and its app, or between a client and that proxy.

mod pump;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Clients that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What is done to connections, in both directions unless it says otherwise. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toxics {
    /// Each piece comes so much later.
    pub latency: Duration,
    /// What the server says comes in pieces.
    pub slicer: Option<Slicer>,
    /// Nothing passes, and nobody is told. Goes on where it was when this ends.
    pub blackhole: bool,
    /// After so many octets of the server's, counted over a connection's life, it ends.
    pub limit: Option<(u64, End)>,
    /// The server's end is passed on so much later.
    pub slow_close: Duration,
}

/// Small pieces with pauses behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slicer {
    /// Octets in a piece.
    pub octets: usize,
    /// After each piece.
    pub pause: Duration,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// FIN, as from whoever has said all.
    Close,
    /// RST.
    Reset,
}

/// A running proxy. Its drop closes its listener and resets its connections.
#[derive(Debug)]
pub struct ToxicProxy {
    address: SocketAddr,
    to: SocketAddr,
    toxics: watch::Sender<Toxics>,
    resets: broadcast::Sender<()>,
    counts: Arc<Counts>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl ToxicProxy {
    /// Passes connections on to this address.
    pub async fn start(to: SocketAddr) -> io::Result<Self> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let mut proxy = Self {
            address: listener.local_addr()?,
            to,
            toxics: watch::Sender::new(Toxics::default()),
            resets: broadcast::Sender::new(1),
            counts: Arc::default(),
            accepting: None,
        };
        proxy.accept_from(listener);
        Ok(proxy)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this from now on, to those who are connected too.
    pub fn set(&self, toxics: Toxics) {
        self.toxics.send_replace(toxics);
    }

    /// Resets all connections; new ones are welcome.
    pub fn reset_all(&self) {
        // Nobody hears it where nobody is connected.
        let _ = self.resets.send(());
    }

    /// Is gone: connects are refused, connections reset.
    pub async fn down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Its listener is closed when it has ended.
            let _ = accepting.await;
        }
        self.reset_all();
    }

    /// Is there again, at the same address.
    pub fn up(&mut self) -> io::Result<()> {
        if self.accepting.is_none() {
            let listener = listen(self.address)?;
            self.accept_from(listener);
        }
        Ok(())
    }

    /// How many connections there were so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Relaxed)
    }

    /// How many there are now.
    pub fn open(&self) -> usize {
        self.counts.open.load(Relaxed)
    }

    fn accept_from(&mut self, listener: TcpListener) {
        let (to, toxics) = (self.to, self.toxics.subscribe());
        let (resets, counts) = (self.resets.clone(), self.counts.clone());
        self.accepting = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            // At the limit of open files there is no next one.
            while let Ok((client, _)) = listener.accept().await {
                counts.accepted.fetch_add(1, Relaxed);
                let open = Open::new(counts.clone());
                let (toxics, resets) = (toxics.clone(), resets.subscribe());
                connections.spawn(async move {
                    connection(client, to, toxics, resets).await;
                    drop(open);
                });
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

impl Drop for ToxicProxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// Counts a connection as long as it lives, however it ends.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Relaxed);
        Self(counts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// Both sides of a connection. Whatever ends them early resets them.
struct Sides {
    client: TcpStream,
    server: TcpStream,
    have_ended: bool,
}

impl Drop for Sides {
    fn drop(&mut self) {
        if !self.have_ended {
            reset_by_drop(&self.client);
            reset_by_drop(&self.server);
        }
    }
}

fn reset_by_drop(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn connection(
    client: TcpStream,
    to: SocketAddr,
    toxics: watch::Receiver<Toxics>,
    mut resets: broadcast::Receiver<()>,
) {
    let Ok(server) = TcpStream::connect(to).await else {
        return reset_by_drop(&client);
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut sides = Sides {
        client,
        server,
        have_ended: false,
    };
    let passed = tokio::select! {
        passed = pump::both_ways(&mut sides.client, &mut sides.server, toxics) => passed.is_ok(),
        _ = resets.recv() => false,
    };
    sides.have_ended = passed;
}
