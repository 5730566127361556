//! An answer's body on its way down.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::account::Account;
use crate::clock;
use crate::connection::Conn;
use crate::counters::Loss;
use crate::lease::Lease;
use crate::policy;
use crate::upstream::Checkout;

/// An answer's body on its way to the client.
pub(crate) struct AnswerBody {
    content: Content,
    /// Elsewhere when the answer begins a tunnel.
    account: Option<Box<Account>>,
    /// Tells the connection that the answer has ended.
    done: Done,
}

enum Content {
    /// Ours, whole.
    Own(Option<Bytes>),
    /// The app's. Boxed parts would cost an allocation a request; the size is paid once per connection.
    App {
        incoming: Incoming,
        flight: Option<Flight>,
    },
}

/// What ends with the app's answer.
pub(crate) struct Flight {
    pub(crate) lease: Lease,
    pub(crate) checkout: Checkout,
}

/// Its drop puts the connection back to idle.
pub(crate) struct Done(pub(crate) Rc<Conn>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.answer_ended();
    }
}

impl AnswerBody {
    pub(crate) fn own(content: Bytes, account: Box<Account>, conn: Rc<Conn>) -> Self {
        let content = Content::Own((!content.is_empty()).then_some(content));
        Self {
            content,
            account: Some(account),
            done: Done(conn),
        }
    }

    /// The same, but for content of ours. (An app that is asked for none sends none.)
    pub(crate) fn without_content(mut self) -> Self {
        if let Content::Own(content) = &mut self.content {
            *content = None;
        }
        self
    }

    /// Whether we answer, not the app.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.content, Content::Own(_)) && self.account.is_some()
    }

    /// The empty body of an answer that begins a tunnel.
    pub(crate) fn of_tunnel(conn: Rc<Conn>) -> Self {
        Self {
            content: Content::Own(None),
            account: None,
            done: Done(conn),
        }
    }

    pub(crate) fn of_app(
        incoming: Incoming,
        flight: Flight,
        account: Box<Account>,
        conn: Rc<Conn>,
    ) -> Self {
        let mut flight = Some(flight);
        if incoming.is_end_stream() {
            end(&mut flight);
        }
        let content = Content::App { incoming, flight };
        Self {
            content,
            account: Some(account),
            done: Done(conn),
        }
    }
}

/// The answer has ended as it should: its connection may serve again, its lease is over.
fn end(flight: &mut Option<Flight>) {
    if let Some(Flight { lease, checkout }) = flight.take() {
        checkout.put_back(&lease);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let conn = &this.done.0;
        conn.answer_is_wanted();
        let (incoming, flight) = match &mut this.content {
            Content::Own(content) => {
                return Poll::Ready(content.take().map(|c| Ok(Frame::data(c))));
            }
            Content::App { incoming, flight } => (incoming, flight),
        };
        let mut frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        clock::now();
        match &mut frame {
            Some(Ok(frame)) => {
                frame.trailers_mut().map(policy::strip_trailers);
                if let Some(account) = &mut this.account {
                    account.sent(frame.data_ref().map_or(0, Bytes::len));
                }
                conn.answer_flows();
                if incoming.is_end_stream() {
                    end(flight);
                }
            }
            Some(Err(_)) => {
                let flight = flight.take();
                let cut = flight.as_ref().is_some_and(|flight| flight.lease.is_cut());
                if let Some(account) = this.account.as_mut().filter(|_| !cut) {
                    account.lost(Loss::AnswerCutShort);
                }
            }
            None => end(flight),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(content) => content.is_none(),
            Content::App { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |c| c.len() as u64))
            }
            Content::App { incoming, .. } => incoming.size_hint(),
        }
    }
}
