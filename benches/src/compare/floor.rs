//! The floor: octets go from one socket to the other, and nothing is read in them. No proxy can do with less.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::poller::{self, Event, Events, Interest, Poller};

/// Read at once.
const BUFFER: usize = 64 * 1024;
/// The listener's token; a pair's are twice its place, and one more.
const LISTENER: u64 = u64::MAX;

/// Forwards until it is killed.
pub(super) fn run(listen: SocketAddr, origin: SocketAddr) -> io::Result<()> {
    let listener = poller::listen(listen)?;
    let mut floor = Floor {
        poller: Poller::new()?,
        pairs: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; BUFFER],
    };
    floor.poller.add(&listener, LISTENER, Interest::Level)?;
    let mut events = Events::new();
    loop {
        floor.poller.wait(&mut events, None)?;
        for Event { token, ends } in events.drain() {
            if token == LISTENER {
                while let Ok((client, _)) = listener.accept() {
                    floor.open(client, origin)?;
                }
            } else {
                floor.forward(token, ends);
            }
        }
    }
}

struct Floor {
    poller: Poller,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

/// A client's connection and its own to the origin.
struct Pair {
    ends: [TcpStream; 2],
    /// What the other end could not take yet, by the end that it came from.
    kept: [Vec<u8>; 2],
    ended: [bool; 2],
}

impl Floor {
    fn open(&mut self, client: TcpStream, origin: SocketAddr) -> io::Result<()> {
        let origin = TcpStream::connect(origin)?;
        let place = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        for (end, stream) in [&client, &origin].into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = (place * 2 + end) as u64;
            self.poller.add(stream, token, Interest::ReadWrite)?;
        }
        self.pairs[place] = Some(Pair {
            ends: [client, origin],
            kept: [Vec::new(), Vec::new()],
            ended: [false; 2],
        });
        Ok(())
    }

    /// Something has happened to one end: it may have octets, or take some again.
    fn forward(&mut self, token: u64, ends: bool) {
        let token = usize::try_from(token).unwrap_or(usize::MAX);
        let (place, end) = (token / 2, token % 2);
        let Some(Some(pair)) = self.pairs.get_mut(place) else {
            return;
        };
        let buffer = &mut self.buffer;
        let lives = pair.flush(1 - end, buffer).is_ok() && pair.copy(end, buffer, ends).is_ok();
        if !lives || pair.ended == [true; 2] {
            self.pairs[place] = None;
            self.free.push(place);
        }
    }
}

impl Pair {
    /// Copies what `from` has, until it has no more (with `ends`: and says so) or the other end takes no more.
    fn copy(&mut self, from: usize, buffer: &mut [u8], ends: bool) -> io::Result<()> {
        while self.kept[from].is_empty() && !self.ended[from] {
            let read = match self.ends[from].read(buffer) {
                Ok(0) => {
                    self.ended[from] = true;
                    let _ = self.ends[1 - from].shutdown(Shutdown::Write);
                    return Ok(());
                }
                Ok(read) => read,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(why) => return Err(why),
            };
            let written = put(&mut self.ends[1 - from], &buffer[..read])?;
            self.kept[from].extend_from_slice(&buffer[written..read]);
            // There is no more: the next octets are told of again.
            if read < buffer.len() && !ends {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes what was kept of `from`, then goes on copying.
    fn flush(&mut self, from: usize, buffer: &mut [u8]) -> io::Result<()> {
        if self.kept[from].is_empty() {
            return Ok(());
        }
        let written = put(&mut self.ends[1 - from], &self.kept[from])?;
        self.kept[from].drain(..written);
        self.copy(from, buffer, true)
    }
}

/// Writes what is taken.
fn put(stream: &mut TcpStream, octets: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < octets.len() {
        match stream.write(&octets[written..]) {
            Ok(more) => written += more,
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
            Err(why) => return Err(why),
        }
    }
    Ok(written)
}
