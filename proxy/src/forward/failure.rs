//! Why a try was not answered.

use http::Request;
use hyper::client::conn::TrySendError;

use crate::body::RequestBody;
use crate::counters::Loss;
use crate::upstream::{Checkout, ConnectError};

/// Why there is no answer.
pub(super) enum Failure {
    /// Nothing has left: the connection was gone before.
    Unsent(Box<Request<RequestBody>>),
    /// Octets may have left, no answer came.
    Broken(hyper::Error),
    /// The app has not taken it up, and says so (HTTP/2).
    Refused(Refusal),
    TimedOut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its connection is being closed.
    GoingAway,
    /// This request alone: there are too many.
    Stream,
}

#[cold]
pub(super) fn unsent_or_failed(
    mut error: TrySendError<Request<RequestBody>>,
    checkout: &Checkout,
) -> Failure {
    match error.take_message() {
        // The connection had gone; the body finds its own way back.
        Some(_) if checkout.is_shared() => Failure::Refused(Refusal::GoingAway),
        Some(request) => Failure::Unsent(Box::new(request)),
        None => {
            let error = error.into_error();
            match refusal(&error) {
                Some(refusal) => Failure::Refused(refusal),
                None => Failure::Broken(error),
            }
        }
    }
}

/// Whether the app says that it has not taken the request up (RFC 9113, 8.7).
fn refusal(error: &hyper::Error) -> Option<Refusal> {
    let error = http2_error(error)?;
    match error.reason() {
        _ if !error.is_remote() => None,
        // Of a request that it had taken up the app would not say this.
        _ if error.is_go_away() => Some(Refusal::GoingAway),
        Some(h2::Reason::REFUSED_STREAM) => Some(Refusal::Stream),
        _ => None,
    }
}

fn http2_error(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

pub(super) fn loss_of(error: &ConnectError) -> Loss {
    match error {
        ConnectError::TimedOut(_) => Loss::ConnectTimeout,
        ConnectError::Together(error) => loss_of(error),
        ConnectError::Failed(_) | ConnectError::Handshake(_) | ConnectError::Draining => {
            Loss::ConnectRefused
        }
    }
}

pub(super) fn loss_of_error(error: &hyper::Error) -> Loss {
    let is_no_http2 = http2_error(error).is_some_and(h2::Error::is_library);
    if error.is_parse() || is_no_http2 {
        Loss::UpstreamMalformed
    } else {
        Loss::UpstreamReset
    }
}
