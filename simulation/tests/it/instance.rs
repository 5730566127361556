//! The app's instances: listeners on Unix sockets that read HTTP without anything of hyper, answer as they are told to, and
//! write down whatever reaches them.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use simulation::dice::Dice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use crate::book::Shared;
use crate::message::{Message, read_message};

/// So many addresses there are, for all releases.
pub(crate) const INSTANCES: usize = 6;

/// What an instance is like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nobody listens.
    Down,
    /// It listens and is not ready.
    Booting,
    Up,
    /// Ready, then not, then ready.
    Flapping,
    /// Everything is 500.
    Failing,
    /// Connections are accepted by the kernel, and by nobody else.
    Hanging,
}

/// How requests fare, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// The connection ends in the middle of the answer.
    pub(crate) breaks_off: u32,
    /// It ends before any of it.
    pub(crate) resets: u32,
    /// It takes seconds.
    pub(crate) slow: u32,
    /// It is closed behind the answer.
    pub(crate) closes: u32,
}

/// One instance.
pub(crate) struct Instance {
    number: usize,
    path: PathBuf,
    pub(crate) mode: Cell<Mode>,
    task: RefCell<Option<AbortHandle>>,
    connections: RefCell<Vec<AbortHandle>>,
    shared: Shared,
    dice: Dice,
    manners: Rc<Cell<Manners>>,
}

impl Instance {
    pub(crate) fn new(
        number: usize,
        directory: &Path,
        shared: &Shared,
        dice: &Dice,
        manners: &Rc<Cell<Manners>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            path: directory.join(number.to_string()),
            mode: Cell::new(Mode::Down),
            task: RefCell::default(),
            connections: RefCell::default(),
            shared: shared.clone(),
            dice: dice.clone(),
            manners: manners.clone(),
        })
    }

    /// Becomes like that. Where nobody answers any more, connections end too.
    pub(crate) fn change_to(self: &Rc<Self>, mode: Mode) {
        self.shared.tell(
            &format!("app: {mode:?}"),
            &format!("instance {}", self.number),
        );
        let now = self.shared.book().now_ms();
        self.shared.book().fault_ms = now;
        self.mode.set(mode);
        self.end();
        self.begin();
    }

    fn end(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if matches!(self.mode.get(), Mode::Down | Mode::Hanging) {
            self.connections.take().iter().for_each(AbortHandle::abort);
        }
        // One that is not there is no harm.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Listens, on the runtime that runs now.
    pub(crate) fn begin(self: &Rc<Self>) {
        if self.mode.get() == Mode::Down {
            return;
        }
        let _ = std::fs::remove_file(&self.path);
        let listener = UnixListener::bind(&self.path).expect("a socket in a directory of our own");
        let task = spawn_local(self.clone().accept(listener));
        self.task.replace(Some(task.abort_handle()));
    }

    async fn accept(self: Rc<Self>, listener: UnixListener) {
        if self.mode.get() == Mode::Hanging {
            let _listening = listener;
            return std::future::pending().await;
        }
        while let Ok((stream, _)) = listener.accept().await {
            let serving = spawn_local(self.clone().serve(stream));
            let mut connections = self.connections.borrow_mut();
            connections.retain(|connection| !connection.is_finished());
            connections.push(serving.abort_handle());
        }
    }

    async fn serve(self: Rc<Self>, mut stream: UnixStream) {
        let mut read = Vec::new();
        while let Some(message) = read_message(&mut stream, &mut read).await {
            let goes_on = if message.target == "/up" {
                self.answer_probe(&mut stream).await
            } else {
                self.answer(&mut stream, message).await
            };
            if !goes_on {
                return;
            }
        }
    }

    async fn answer_probe(&self, stream: &mut UnixStream) -> bool {
        let is_ready = match self.mode.get() {
            Mode::Up => true,
            Mode::Flapping => self.dice.often(500),
            Mode::Booting | Mode::Failing | Mode::Down | Mode::Hanging => false,
        };
        let status = if is_ready {
            "204 No Content"
        } else {
            "503 Busy\r\nContent-Length: 0"
        };
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).await;
        false
    }

    async fn answer(&self, stream: &mut UnixStream, mut message: Message) -> bool {
        let Some(number) = message.number() else {
            self.shared
                .must(false, || format!("no request of ours: {message:?}"));
            return false;
        };
        let was_held = message.field("x-held-ms").is_some();
        let running = Arrived {
            key: self.shared.book().arrive(number, self.number, was_held),
            shared: self.shared.clone(),
        };
        let what = format!("{} {number} at instance {}", message.method, self.number);
        self.shared.tell("arrived", &what);
        let whole = message.read_body(stream).await;
        if let Some(body) = &whole {
            let wanted = message.field("x-length").and_then(|text| text.parse().ok());
            let is_whole = wanted == Some(body.len()) && body.iter().all(|octet| *octet == b'b');
            self.shared
                .must(is_whole, || format!("the body of {what} is another one"));
        }
        let stays = whole.is_some() && self.think(stream).await;
        let goes_on = stays && self.say(stream, number, &message).await;
        drop(running);
        goes_on
    }

    /// Takes its time; false if nobody waits for the answer any more.
    async fn think(&self, stream: &mut UnixStream) -> bool {
        let slow = self.dice.often(self.manners.get().slow);
        let ms = if slow {
            self.dice.within(1000..=40_000)
        } else {
            self.dice.within(0..=60)
        };
        let mut octet = [0];
        tokio::select! {
            biased;
            read = stream.read(&mut octet) => {
                self.shared.must(!matches!(read, Ok(1..)), || "octets behind a request".to_owned());
                false
            }
            () = sleep(Duration::from_millis(ms)) => true,
        }
    }

    async fn say(&self, stream: &mut UnixStream, number: usize, message: &Message) -> bool {
        let manners = self.manners.get();
        if self.dice.often(manners.resets) {
            self.trouble("app: reset", number);
            return false;
        }
        let status = if self.mode.get() == Mode::Failing {
            "500 Broken"
        } else {
            "200 OK"
        };
        let body = if message.method == "HEAD" {
            String::new()
        } else {
            self.body(number)
        };
        let closes = self.dice.often(manners.closes);
        let close = if closes { "Connection: close\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status}\r\nX-Number: {number}\r\n{close}Content-Length: {}\r\n\r\n",
            self.body(number).len()
        );
        if self.dice.often(manners.breaks_off) && !body.is_empty() {
            self.trouble("app: broke off", number);
            let _ = stream
                .write_all((head + &body[..body.len() / 2]).as_bytes())
                .await;
            return false;
        }
        stream.write_all((head + &body).as_bytes()).await.is_ok() && !closes
    }

    fn body(&self, number: usize) -> String {
        format!("{} answers {number}\n", self.number)
    }

    fn trouble(&self, what: &str, number: usize) {
        self.shared.tell(what, &format!("request {number}"));
        let now = self.shared.book().now_ms();
        self.shared.book().fault_ms = now;
    }
}

/// A request that runs here, until it is answered or its connection ends.
struct Arrived {
    key: u64,
    shared: Shared,
}

impl Drop for Arrived {
    fn drop(&mut self) {
        self.shared.book().running.remove(&self.key);
    }
}
