//! The app's side, in its own process: answers every request with its id, and keeps in memory when each came. Told
//! `write PATH`, it writes that down and forgets it.

use std::cell::RefCell;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use holdfast_load::clock::Moment;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::book::{self, Arrival};
use super::pages::Pages;
use super::{Ear, head, tell};

/// Connections that wait to be accepted: as many as the kernel lets.
const BACKLOG: i32 = 4096;
/// After a failed accept (no descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// As an app that is slow to accept goes by.
const TICK: Duration = Duration::from_millis(1);

type Book = Rc<RefCell<Pages<Arrival>>>;

/// What an app is told when it is started.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Life {
    /// It listens at so many.
    pub(super) ports: usize,
    /// So many connections are accepted each millisecond, at each port. None: all that there are.
    pub(super) accepts: Option<u32>,
}

/// Lives until nobody is left to hear.
pub(super) async fn run(life: String, mut ear: Ear) -> io::Result<()> {
    let life: Life = serde_json::from_str(&life)?;
    let book = Book::default();
    let mut said = String::from("listening");
    for _ in 0..life.ports {
        let listener = listen()?;
        said.push_str(&format!(" {}", listener.local_addr()?.port()));
        spawn_local(accept(listener, book.clone(), life.accepts));
    }
    tell(&said)?;
    while let Some(heard) = ear.recv().await {
        let Some(path) = heard.strip_prefix("write ") else {
            return Err(io::Error::other(format!("heard {heard:?}")));
        };
        let arrivals = book.take().into_vec();
        book::write_arrivals(Path::new(path), &arrivals)?;
        tell("written")?;
    }
    Ok(())
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, book: Book, accepts: Option<u32>) {
    let mut left = accepts;
    loop {
        if left == Some(0) {
            tokio::time::sleep(TICK).await;
            left = accepts;
        }
        left = left.map(|left| left - 1);
        match listener.accept().await {
            Ok((stream, _)) => {
                let book = book.clone();
                spawn_local(async move {
                    // What breaks is found on the client's side.
                    let _ = serve(stream, &book).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(mut stream: TcpStream, book: &Book) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut octets = Vec::with_capacity(2048);
    loop {
        let end = loop {
            if let Some(at) = super::wire::end_of_head(&octets) {
                break at;
            }
            if stream.read_buf(&mut octets).await? == 0 {
                return Ok(());
            }
        };
        let head = &octets[..end];
        let closes = super::wire::says(head, b"connection: close");
        let body = match head::id_of(head) {
            Some(id) => {
                book.borrow_mut().push(Arrival {
                    id,
                    at: Moment::now(),
                });
                head::body(id)
            }
            // A probe.
            None => "up\n".to_owned(),
        };
        octets.drain(..end);
        let close = if closes { "connection: close\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n{close}\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        if closes {
            return stream.shutdown().await;
        }
    }
}
