//! Bodies on their way through: the lease rides in both, until the last frame, an error, or the drop.

mod answer;
mod pace;
mod request;
mod upload;

pub(crate) use answer::{AnswerBody, Flight};
pub(crate) use request::RequestBody;
pub(crate) use upload::{Recovery, Upload};

/// A frame, or why there is none.
type Taken = Result<http_body::Frame<bytes::Bytes>, hyper::Error>;
