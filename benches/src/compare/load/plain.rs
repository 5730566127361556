//! HTTP/1.1 and WebSockets in the clear, on one thread with epoll: as cheap as a client can be, so that the proxy is the
//! one who is busy.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::poller::{Event, Events, Interest, Poller};
use super::super::websocket;
use super::super::wire::{Reader, Side};
use super::schedule::Schedule;
use super::watch::Watch;
use super::{Ask, Manner, Outcome, Plan};

const BUFFER: usize = 256 * 1024;
/// So many connections are opened at once, among the answers of those before: thousands in one moment are another test.
const RAMP: usize = 16;
/// Who has not answered by then is measured all the same.
const RAMP_TIMEOUT: Duration = Duration::from_secs(10);
/// Until a connection that has failed is tried again in a closed loop.
const AGAIN: Duration = Duration::from_millis(10);

pub(super) fn run(plan: &Plan) -> io::Result<Outcome> {
    let mut load = Load::new(plan)?;
    let mut events = Events::new();
    while load.connections.len() < plan.connections {
        for place in load.connections.len()..plan.connections.min(load.connections.len() + RAMP) {
            load.connections
                .push(Connection::new(place % load.requests.len()));
            load.open(place)?;
            load.start(place, Instant::now());
        }
        load.turn(&mut events, Duration::ZERO)?;
    }
    // Open loop: what the opening brought is answered before anything is due.
    let opened = Instant::now();
    while plan.rate.is_some()
        && load.idle.len() < plan.connections
        && opened.elapsed() < RAMP_TIMEOUT
    {
        load.turn(&mut events, AGAIN)?;
    }
    load.watch = Watch::new(plan)?;
    let now = Instant::now();
    load.schedule = plan.rate.map(|rate| Schedule::new(rate, plan.seed, now));
    loop {
        let now = Instant::now();
        if load.watch.turn(now)? {
            break;
        }
        load.start_due(now);
        let until = load.looks_at(now).saturating_duration_since(now);
        load.turn(&mut events, until)?;
    }
    load.count_overdue();
    load.watch.outcome()
}

struct Load<'p> {
    plan: &'p Plan,
    poller: Poller,
    /// One for each host, or client.
    requests: Vec<Vec<u8>>,
    frame: Vec<u8>,
    connections: Vec<Connection>,
    /// Open loop: those who have nothing to do.
    idle: VecDeque<usize>,
    schedule: Option<Schedule>,
    watch: Watch,
    random: fastrand::Rng,
    buffer: Vec<u8>,
}

struct Connection {
    stream: Option<TcpStream>,
    reader: Reader,
    /// Octets of a frame that have come.
    framed: usize,
    /// Which request it sends.
    request: usize,
    written: usize,
    doing: Doing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// Waits until its request, which was due then, is answered.
    Asks(Instant),
    /// Waits for a 101.
    Upgrades,
}

impl Connection {
    fn new(request: usize) -> Self {
        Self {
            stream: None,
            reader: Reader::new(Side::Answers),
            framed: 0,
            request,
            written: 0,
            doing: Doing::Nothing,
        }
    }
}

/// What reading or writing has come to.
enum Turn {
    /// It waits for an event.
    Waits,
    /// The answer is whole.
    Done,
    Failed(String),
}

impl<'p> Load<'p> {
    fn new(plan: &'p Plan) -> io::Result<Self> {
        Ok(Self {
            plan,
            poller: Poller::new()?,
            requests: plan.requests(),
            frame: websocket::frame(),
            connections: Vec::new(),
            idle: VecDeque::new(),
            schedule: None,
            watch: Watch::new(plan)?,
            random: fastrand::Rng::with_seed(plan.seed),
            buffer: vec![0; BUFFER],
        })
    }

    /// Waits for events, for so long at most, and does what they ask for.
    fn turn(&mut self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        self.poller.wait(events, Some(timeout))?;
        for event in events.drain() {
            self.happened(event);
        }
        Ok(())
    }

    fn open(&mut self, place: usize) -> io::Result<()> {
        let stream = TcpStream::connect(self.plan.target)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let interest = match self.plan.ask {
            Ask::Get(_) => Interest::Read,
            Ask::Post(_) => Interest::ReadWrite,
        };
        self.poller.add(&stream, place as u64, interest)?;
        let connection = &mut self.connections[place];
        connection.stream = Some(stream);
        connection.reader = Reader::new(Side::Answers);
        connection.framed = 0;
        if self.plan.manner == Manner::WebSocket {
            connection.doing = Doing::Upgrades;
            connection.written = 0;
            self.go_on(place, false);
        }
        Ok(())
    }

    /// It has nothing to do now: what is due, or what comes next.
    fn next(&mut self, place: usize) {
        if self.connections[place].doing == Doing::Upgrades {
            return;
        }
        let now = Instant::now();
        match &mut self.schedule {
            None if self.plan.rate.is_none() => self.start(place, now),
            Some(schedule) if schedule.next() <= now => {
                let due = schedule.take();
                self.start(place, due);
            }
            _ => self.idle.push_back(place),
        }
    }

    fn start_due(&mut self, now: Instant) {
        if self.schedule.is_none() {
            // Only those who have failed are idle in a closed loop. They try again, once a turn.
            for place in std::mem::take(&mut self.idle) {
                self.start(place, now);
            }
        }
        while let Some(schedule) = &mut self.schedule
            && schedule.next() <= now
            && let Some(place) = self.idle.pop_front()
        {
            let due = schedule.take();
            self.start(place, due);
        }
    }

    fn looks_at(&self, now: Instant) -> Instant {
        let watch = self.watch.looks_at(now);
        match &self.schedule {
            _ if self.idle.is_empty() => watch,
            Some(schedule) => watch.min(schedule.next()),
            None => watch.min(now + AGAIN),
        }
    }

    fn start(&mut self, place: usize, due: Instant) {
        let closed = self.connections[place].stream.is_none();
        if closed && let Err(why) = self.open(place) {
            self.watch.failed(|| format!("no connection: {why}"));
            self.connections[place].doing = Doing::Nothing;
            self.idle.push_back(place);
            return;
        }
        let connection = &mut self.connections[place];
        // A WebSocket that had to be opened again asks for that first.
        if connection.doing == Doing::Upgrades {
            return;
        }
        connection.doing = Doing::Asks(due);
        connection.written = 0;
        // Drawn, not in turn: neighbours have the same app, and it would get bursts.
        connection.request = self.random.usize(..self.requests.len());
        self.go_on(place, false);
    }

    fn happened(&mut self, event: Event) {
        let place = usize::try_from(event.token).unwrap_or(usize::MAX);
        self.go_on(place, event.ends);
    }

    /// Writes and reads what can be.
    fn go_on(&mut self, place: usize, ends: bool) {
        // What was just written is not answered yet: its event will come.
        let turn = match self.write(place) {
            Ok(true) => Turn::Waits,
            Ok(false) => self.read(place, ends),
            Err(why) => Turn::Failed(format!("while writing: {why}")),
        };
        match turn {
            Turn::Waits => {}
            Turn::Done => self.done(place),
            Turn::Failed(why) => {
                self.connections[place].stream = None;
                if self.connections[place].doing != Doing::Nothing {
                    self.watch.failed(|| why);
                    self.connections[place].doing = Doing::Nothing;
                    // Not at once: a proxy that refuses everything must not keep us here for ever.
                    self.idle.push_back(place);
                }
            }
        }
    }

    fn done(&mut self, place: usize) {
        let doing = self.connections[place].doing;
        self.connections[place].doing = Doing::Nothing;
        if let Doing::Asks(due) = doing {
            self.watch.answered(due);
        }
        if self.plan.manner == Manner::Fresh {
            self.connections[place].stream = None;
        }
        self.next(place);
    }

    /// True: something was written, or is left to write.
    fn write(&mut self, place: usize) -> io::Result<bool> {
        let connection = &mut self.connections[place];
        let octets = match (connection.doing, self.plan.manner) {
            (Doing::Nothing, _) => return Ok(false),
            (Doing::Asks(_), Manner::WebSocket) => &self.frame,
            _ => &self.requests[connection.request],
        };
        let Some(stream) = &mut connection.stream else {
            return Ok(false);
        };
        let before = connection.written;
        while connection.written < octets.len() {
            match stream.write(&octets[connection.written..]) {
                Ok(more) => connection.written += more,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(why) => return Err(why),
            }
        }
        Ok(connection.written > before)
    }

    fn read(&mut self, place: usize, ends: bool) -> Turn {
        let connection = &mut self.connections[place];
        loop {
            let Some(stream) = &mut connection.stream else {
                return Turn::Waits;
            };
            let read = match stream.read(&mut self.buffer) {
                Ok(0) => return Turn::Failed("closed before the answer was whole".to_owned()),
                Ok(read) => read,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Turn::Waits,
                Err(why) => return Turn::Failed(format!("while reading: {why}")),
            };
            match connection.take(&self.buffer[..read], self.plan) {
                Turn::Waits => {}
                turn => return turn,
            }
            // There is no more: the next octets are told of again.
            if read < self.buffer.len() && !ends {
                return Turn::Waits;
            }
        }
    }

    /// What was due and has no answer yet is at least as late as it is now.
    fn count_overdue(&mut self) {
        let now = Instant::now();
        for connection in &self.connections {
            if let Doing::Asks(due) = connection.doing {
                self.watch.late(due, now);
            }
        }
        while let Some(schedule) = &mut self.schedule
            && schedule.next() + Duration::from_millis(1) < now
        {
            let due = schedule.take();
            self.watch.late(due, now);
        }
    }
}

impl Connection {
    fn take(&mut self, octets: &[u8], plan: &Plan) -> Turn {
        if plan.manner == Manner::WebSocket && self.doing != Doing::Upgrades {
            self.framed += octets.len();
            return match self.framed.cmp(&websocket::FROM_SERVER) {
                std::cmp::Ordering::Less => Turn::Waits,
                std::cmp::Ordering::Equal => {
                    self.framed = 0;
                    Turn::Done
                }
                std::cmp::Ordering::Greater => Turn::Failed("more than one frame".to_owned()),
            };
        }
        let (read, whole) = match self.reader.read(octets) {
            Ok(it) => it,
            Err(why) => return Turn::Failed(why.to_string()),
        };
        let Some(head) = whole else {
            return Turn::Waits;
        };
        let expected = match (self.doing, plan.ask) {
            (Doing::Nothing, _) => return Turn::Failed("an answer that nobody asked for".into()),
            (Doing::Upgrades, _) => (101, 0),
            (Doing::Asks(_), Ask::Get(octets)) => (200, octets as u64),
            (Doing::Asks(_), Ask::Post(_)) => (200, 16),
        };
        if (head.status, head.length) != expected || read != octets.len() {
            let (status, length) = (head.status, head.length);
            return Turn::Failed(format!("status {status}, {length} octets"));
        }
        Turn::Done
    }
}
