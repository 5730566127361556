//! A worker: one thread, one runtime, and everything of the requests it accepted.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use holdfast_control::Accepting;
use holdfast_control::plane::{Signaller, Teller};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio_util::task::TaskTracker;

use crate::access_log::{AccessLog, Book};
use crate::clock;
use crate::connection;
use crate::listen::{Accepted, Arrived, Front, Queue};
use crate::listeners::Inlet;
use crate::lobby::{self, Lobby};
use crate::memory::Memory;
use crate::scheduling;
use crate::stop::Stop;
use crate::table::{Published, Reader};
use crate::upstream::Pool;
use crate::waking::Waking;

/// How often idle upstream connections are looked through, and memory.
const SWEEP: Duration = Duration::from_secs(1);

/// Sockets dealt with at a time. What one step of a request leaves behind is then still in a near cache when the next step
/// comes to it; with a thousand at a time it is not. Of these so many may be requests that the lobby lets begin.
const EVENTS_MAX: usize = 64;

/// Polls of tasks between two looks at the sockets, where there is always something to do: all that so many sockets have woken.
/// With fewer (tokio has 61) the steps of some requests mix with those of others, and an HTTP/2 connection writes its
/// answers in smaller pieces.
const POLLS_MAX: u32 = 256;

/// What a worker's requests share.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) tables: Reader,
    pub(crate) pool: Rc<Pool>,
    pub(crate) book: Rc<Book>,
    pub(crate) signaller: Signaller,
    /// Of what goes wrong on releases beside the live ones.
    pub(crate) teller: Teller,
    pub(crate) memory: Rc<Memory>,
    pub(crate) waking: Arc<Waking>,
    pub(crate) lobby: Rc<Lobby>,
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        published: &Published,
        access_log: AccessLog,
        signaller: Signaller,
        teller: Teller,
    ) -> Rc<Self> {
        Rc::new(Self {
            index,
            tables: published.reader(),
            pool: Rc::default(),
            book: Rc::new(Book::new(access_log)),
            signaller,
            teller,
            memory: Rc::default(),
            waking: Arc::default(),
            lobby: Rc::default(),
        })
    }
}

/// What a worker is told.
pub(crate) enum Mail {
    /// Close the idle connections to this release, then say so.
    Retire(u64, oneshot::Sender<()>),
    /// Say that it was read.
    Pulse(oneshot::Sender<()>),
    /// Let clients in there too.
    Listen(Vec<Inlet>),
}

/// What a worker needs to begin.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) published: Arc<Published>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) access_log: AccessLog,
    pub(crate) signaller: Signaller,
    pub(crate) teller: Teller,
    pub(crate) stop: Stop,
    pub(crate) accepting: Accepting,
    pub(crate) mail: mpsc::Receiver<Mail>,
    /// Told once every socket is looked after.
    pub(crate) up: oneshot::Sender<()>,
}

/// Starts a worker's thread. It ends when the daemon stops and its last connection has ended.
pub(crate) fn start(start: Start) -> io::Result<JoinHandle<()>> {
    let name = format!("worker-{}", start.index);
    std::thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = scheduling::come_first() {
            tracing::warn!(%error, "a worker gives way to others");
        }
        match runtime().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(work(start)),
            Err(error) => tracing::error!(%error, "a worker has no runtime"),
        }
    })
}

/// What a worker runs on.
pub(crate) fn runtime() -> Builder {
    let mut runtime = Builder::new_current_thread();
    // Whoever is woken is late by what the round before took, and by no more.
    runtime.enable_all().on_thread_unpark(|| {
        clock::now();
        lobby::turn();
    });
    runtime.max_io_events_per_tick(EVENTS_MAX);
    runtime.event_interval(POLLS_MAX);
    runtime
}

async fn work(start: Start) {
    let Start {
        index,
        inlets,
        published,
        permits,
        access_log,
        signaller,
        teller,
        stop,
        accepting,
        mail,
        up,
    } = start;
    let worker = Worker::new(index, &published, access_log, signaller, teller);
    let house = House::new(worker, permits, accepting);
    let connections = house.connections.clone();
    for inlet in inlets {
        if let Err(error) = house.open(inlet) {
            // It is told by not being up.
            return tracing::error!(%error, "a listener is not usable");
        }
    }
    // Nobody may be interested.
    let _ = up.send(());
    house.keep(mail);
    stop.stopped().await;
    connections.close();
    connections.wait().await;
}

/// What all doors of a worker lead to.
#[derive(Clone)]
pub(crate) struct House {
    worker: Rc<Worker>,
    connections: TaskTracker,
    permits: Arc<Semaphore>,
    accepting: Accepting,
}

impl House {
    pub(crate) fn new(worker: Rc<Worker>, permits: Arc<Semaphore>, accepting: Accepting) -> Self {
        Self {
            worker,
            connections: TaskTracker::new(),
            permits,
            accepting,
        }
    }

    /// Begins what a worker does besides serving, on the thread's runtime.
    pub(crate) fn keep(self, mail: mpsc::Receiver<Mail>) {
        let worker = self.worker.clone();
        tokio::task::spawn_local(sweep(worker.clone()));
        tokio::task::spawn_local(read_mail(mail, self));
        let waking = worker.waking.clone();
        tokio::task::spawn_local(async move { waking.keep().await });
        let lobby = worker.lobby.clone();
        tokio::task::spawn_local(async move { lobby.keep().await });
        let book = worker.book.clone();
        tokio::task::spawn_local(async move { book.keep().await });
    }

    /// Lets clients in there from now on.
    fn open(&self, inlet: Inlet) -> io::Result<()> {
        let Inlet {
            socket,
            front,
            stop,
        } = inlet;
        let door = Door {
            queue: Queue::new(socket)?,
            front,
            stop,
            arrived: None,
            house: self.clone(),
        };
        let accepting = self.connections.track_future(door.accept());
        tokio::task::spawn_local(accepting);
        Ok(())
    }
}

/// Where one of the worker's sockets lets clients in.
struct Door {
    queue: Queue,
    front: watch::Receiver<Arc<Front>>,
    stop: Stop,
    /// Who has come and waits for a permit: at the limit one waits here, the others in the kernel's queue.
    arrived: Option<Arrived>,
    house: House,
}

impl Door {
    /// Accepts until the listener stops; not while another process does. The listener stays open: who waits in its queue is
    /// served by that one.
    async fn accept(mut self) {
        let (stop, accepting) = (self.stop.clone(), self.house.accepting.clone());
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                () = accepting.begun() => {}
            }
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                () = accepting.paused() => {}
                () = self.accept_all() => {}
            }
        }
        self.let_in_who_waits().await;
    }

    /// May be left at any time: nobody who has come is lost.
    async fn accept_all(&mut self) {
        loop {
            // Most have a request with them, which begins at once.
            for _ in 0..lobby::TURN {
                if self.arrived.is_none() {
                    self.arrived = Some(self.queue.accept().await);
                }
                self.let_in().await;
            }
            // Until the sockets have been looked at.
            yield_now().await;
        }
    }

    /// The last ones: the kernel has let them in, and would reset them. Not if the queue is served by another process.
    async fn let_in_who_waits(&mut self) {
        self.let_in().await;
        while self.house.accepting.is_on() {
            self.arrived = self.queue.accept_waiting();
            if self.arrived.is_none() {
                return;
            }
            self.let_in().await;
        }
    }

    /// Serves who has come, when there is a permit.
    async fn let_in(&mut self) {
        if self.arrived.is_none() {
            return;
        }
        let permits = &self.house.permits;
        let permit = match permits.clone().try_acquire_owned() {
            Err(_) => permits.clone().acquire_owned().await.ok(),
            at_once => at_once.ok(),
        };
        // Nobody closes the semaphore.
        let (Some(permit), Some((stream, client))) = (permit, self.arrived.take()) else {
            return;
        };
        let front = self.front.borrow().clone();
        let accepted = Accepted {
            stream,
            front,
            client,
            permit,
        };
        // Boxed: a task is moved about, whole, when it begins and when it ends.
        let serving = Box::pin(connection::run(accepted, self.house.worker.clone()));
        let serving = self.house.connections.track_future(serving);
        tokio::task::spawn_local(serving);
    }
}

async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        worker.pool.sweep().await;
        worker.memory.look(clock::now());
    }
}

async fn read_mail(mut mail: mpsc::Receiver<Mail>, house: House) {
    while let Some(mail) = mail.recv().await {
        match mail {
            Mail::Retire(uid, done) => {
                house.worker.pool.retire(uid).await;
                let _ = done.send(());
            }
            Mail::Pulse(read) => drop(read.send(())),
            Mail::Listen(inlets) => {
                for inlet in inlets {
                    if let Err(error) = house.open(inlet) {
                        tracing::error!(%error, "a listener is not usable");
                    }
                }
            }
        }
    }
}
