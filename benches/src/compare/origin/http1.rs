//! HTTP/1.1 and WebSockets, on one thread.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use super::super::poller::{Event, Events, Interest, Poller};
use super::super::websocket;
use super::super::wire::{Reader, Side};

const LISTENER: u64 = u64::MAX;
const BUFFER: usize = 64 * 1024;

pub(super) fn serve(listener: TcpListener) -> io::Result<()> {
    let poller = Poller::new()?;
    poller.add(&listener, LISTENER, Interest::Level)?;
    let mut origin = Origin {
        poller,
        connections: Vec::new(),
        free: Vec::new(),
        answers: HashMap::new(),
        buffer: vec![0; BUFFER],
    };
    let mut events = Events::new();
    loop {
        origin.poller.wait(&mut events, None)?;
        for Event { token, ends } in events.drain() {
            if token == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    origin.open(stream)?;
                }
                continue;
            }
            let place = usize::try_from(token).unwrap_or(usize::MAX);
            if !origin.happened(place, ends) && origin.connections[place].take().is_some() {
                origin.free.push(place);
            }
        }
    }
}

struct Origin {
    poller: Poller,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answers: HashMap<usize, Rc<[u8]>>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    reader: Reader,
    /// What is being written, and how much of it has been.
    answer: Option<(Rc<[u8]>, usize)>,
    /// It is over after this answer.
    closes: bool,
    /// It is a WebSocket now.
    frames: Option<websocket::Echo>,
}

impl Origin {
    fn open(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let place = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.poller
            .add(&stream, place as u64, Interest::ReadWrite)?;
        self.connections[place] = Some(Connection {
            stream,
            reader: Reader::new(Side::Requests),
            answer: None,
            closes: false,
            frames: None,
        });
        Ok(())
    }

    /// Reads and writes what can be. False: the connection is over.
    fn happened(&mut self, place: usize, ends: bool) -> bool {
        let Self {
            connections,
            answers,
            buffer,
            ..
        } = self;
        let Some(Some(connection)) = connections.get_mut(place) else {
            return true;
        };
        match connection.write() {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        loop {
            let read = match connection.stream.read(buffer) {
                Ok(0) => return false,
                Ok(read) => read,
                Err(why) => return why.kind() == io::ErrorKind::WouldBlock,
            };
            let goes_on = connection.take(&buffer[..read], answers);
            if goes_on.is_err() || (connection.closes && connection.answer.is_none()) {
                return false;
            }
            if read < buffer.len() && !ends {
                return true;
            }
        }
    }
}

impl Connection {
    fn take(
        &mut self,
        mut octets: &[u8],
        answers: &mut HashMap<usize, Rc<[u8]>>,
    ) -> io::Result<()> {
        while !octets.is_empty() {
            if let Some(frames) = &mut self.frames {
                let echo = frames.echo(octets);
                return self.stream.write_all(&echo);
            }
            let before = octets;
            let (read, whole) = self.reader.read(octets).map_err(io::Error::other)?;
            octets = &octets[read..];
            let Some(head) = whole else { continue };
            self.closes |= head.closes;
            let answer = if head.upgrades {
                self.frames = Some(websocket::Echo::default());
                Rc::from(websocket::ACCEPTED)
            } else if head.target.starts_with("/echo") {
                said(&before[..read])
            } else {
                let wanted = super::octets_of(&head.target);
                let answer = answers.entry(wanted);
                Rc::clone(answer.or_insert_with(|| super::answer(wanted).into()))
            };
            self.answer = Some((answer, 0));
            self.write()?;
        }
        Ok(())
    }

    /// Writes on. True: nothing is left to write.
    fn write(&mut self) -> io::Result<bool> {
        let Some((answer, written)) = &mut self.answer else {
            return Ok(true);
        };
        while *written < answer.len() {
            match self.stream.write(&answer[*written..]) {
                Ok(more) => *written += more,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(why) => return Err(why),
            }
        }
        self.answer = None;
        if self.closes {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(true)
    }
}

/// An answer with the head that came as its body.
fn said(head: &[u8]) -> Rc<[u8]> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        head.len()
    )
    .into_bytes();
    answer.extend_from_slice(head);
    answer.into()
}
