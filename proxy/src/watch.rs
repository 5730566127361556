//! Waiting at the door, and noticing a client that leaves meanwhile: its place is then free at once. A FIN counts as
//! leaving.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use swap_core::Cause;
use swap_gate::{Expired, Reason, Room, Turn};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use crate::body::Upload;
use crate::clock;
use crate::connection::Conn;
use crate::door::Ticket;
use crate::keepalive;
use crate::tls::Secured;
use crate::waking::Waking;

/// A ticket until its turn comes, or the end of its time. Boxed where it is made: those who wait may be many thousands, and
/// each hand that one goes through would else have room for it.
pub(crate) struct Waiting {
    turn: Turning<'static>,
    room: Room<Cause>,
}

type Turning<'u> = Pin<Box<dyn Future<Output = Turn<Cause>> + 'u>>;

impl Waiting {
    /// To be waited for on this worker.
    pub(crate) fn new(ticket: Ticket, waking: &Arc<Waking>) -> Self {
        Self {
            room: ticket.room(),
            turn: Box::pin(turn(ticket, waking.clone())),
        }
    }

    /// Waits with nothing but the socket. None: the client has left.
    pub(crate) async fn parked(self, client: &TcpStream) -> Option<Turn<Cause>> {
        tokio::select! {
            biased;
            turn = self.turn => Some(turn),
            () = left(client) => None,
            never = keepalive::while_held(client) => match never {},
        }
    }

    /// Waits inside hyper's connection. None: the client has left.
    pub(crate) async fn in_place(self, conn: &Conn) -> Option<Turn<Cause>> {
        match conn.with_socket(duplicate) {
            Some(Ok(watched)) => self.parked(&watched).await,
            // No descriptor to watch with: wait without noticing. The limit of the wait still ends it.
            _ => Some(self.turn.await),
        }
    }

    /// Waits as one stream of many (HTTP/2), and reads meanwhile what the client sends, within the bytes of the hold: small
    /// frames that nobody reads would in the end cost the connection, with every other stream on it. A client that leaves
    /// resets its stream, which ends this.
    pub(crate) fn in_stream<'u>(self, upload: Option<&'u mut Upload>) -> Turning<'u> {
        match upload {
            None => self.turn,
            Some(upload) => Box::pin(self.with_upload(upload)),
        }
    }

    async fn with_upload(self, upload: &mut Upload) -> Turn<Cause> {
        tokio::select! {
            biased;
            turn = self.turn => turn,
            never = upload.read_early(self.room) => match never {},
        }
    }
}

/// The ticket's turn, or its time-out. (No `async fn`: that would have room for its arguments twice.)
fn turn(mut ticket: Ticket, waking: Arc<Waking>) -> impl Future<Output = Turn<Cause>> {
    let mut in_order = None;
    async move {
        let deadline = clock::instant(ticket.deadline());
        let turn = tokio::select! {
            biased;
            turn = poll_fn(|cx| {
                let waker = in_order.get_or_insert_with(|| waking.in_order(cx.waker()));
                ticket.poll_turn(&mut Context::from_waker(waker))
            }) => Some(turn),
            () = sleep_until(deadline) => None,
        };
        match turn {
            Some(turn) => turn,
            None => match ticket.expire(clock::now()) {
                Expired::TimedOut => Turn::Shed(Reason::Timeout),
                Expired::Admitted(admitted) => Turn::Admitted(admitted),
                Expired::Shed(reason) => Turn::Shed(reason),
            },
        }
    }
}

/// Resolves when the client has shut its side or reset the connection. Unread octets do not wake it.
async fn left(client: &TcpStream) {
    loop {
        match client.ready(Interest::PRIORITY).await {
            Ok(ready) if ready.is_read_closed() || ready.is_error() => return,
            // Urgent data means nothing here.
            Ok(_) => drop(client.try_io(Interest::PRIORITY, would_block)),
            Err(_) => return,
        }
    }
}

fn would_block() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

/// A second descriptor of the socket, registered apart: hyper's own waker stays where it is.
fn duplicate(socket: &Secured) -> io::Result<TcpStream> {
    let fd = socket.descriptor().ok_or(io::ErrorKind::NotConnected)?;
    TcpStream::from_std(fd.try_clone_to_owned()?.into())
}
