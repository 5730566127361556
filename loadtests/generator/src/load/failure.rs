//! What an error of hyper's means for a request whose answer has not begun.

use std::error::Error;
use std::io;

use crate::run::Loss;

/// Why it is lost.
pub(crate) fn loss(error: &hyper::Error) -> Loss {
    if error.is_parse() {
        return Loss::Malformed;
    }
    if cause(error).is_some_and(h2::Error::is_reset) || is_reset(error) {
        return Loss::Reset;
    }
    Loss::Closed
}

/// Whether the other side said that it has not processed it: by a GOAWAY that leaves it out, or by REFUSED_STREAM (RFC
/// 9113, 6.8 and 8.7).
pub(crate) fn is_unprocessed(error: &hyper::Error) -> bool {
    let Some(cause) = cause(error).filter(|it: &&h2::Error| it.is_remote()) else {
        return false;
    };
    let left_out = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
    let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    left_out || refused
}

fn cause<T: Error + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}

fn is_reset(error: &hyper::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    let io = cause(error).map(io::Error::kind);
    matches!(io, Some(ConnectionReset | BrokenPipe))
}
