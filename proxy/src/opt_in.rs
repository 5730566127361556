//! The link by which users ask for the next release, and leave it again: `/.holdfast/next` and `/.holdfast/next/off`. It is
//! there only while there is a release to be seen by whoever asks; else the app gets the request as any other.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::cookies;
use crate::table::App;

/// The value of the cookie of whoever has asked.
const YES: &str = "1";

/// What a user asks for by the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    cookie: String,
    on: bool,
}

/// The cookie of those who have asked for the next release, if that is to be had.
pub(crate) fn cookie(app: &App) -> Option<&str> {
    let split = app.split.as_ref()?;
    let cookie = app.settings.config.canary.opt_in.as_deref()?;
    split.is_open_to_all().then_some(cookie)
}

/// Whether that cookie's value is a yes.
pub(crate) fn is_yes(value: &[u8]) -> bool {
    value == YES.as_bytes()
}

/// What is asked for, if it is the link.
pub(crate) fn wish(app: &App, head: &Parts) -> Option<Wish> {
    let cookie = cookie(app)?;
    let on = match head.uri.path() {
        "/.holdfast/next" => true,
        "/.holdfast/next/off" => false,
        _ => return None,
    };
    (head.method == Method::GET).then(|| Wish {
        cookie: cookie.to_owned(),
        on,
    })
}

/// The answer, back to where the app begins.
pub(crate) fn grant(wish: &Wish, secure: bool) -> Response<Bytes> {
    let cookie = if wish.on {
        cookies::give(&wish.cookie, YES, secure)
    } else {
        cookies::take_back(&wish.cookie, secure)
    };
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let fields = answer.headers_mut();
    fields.insert(header::LOCATION, HeaderValue::from_static("/"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        fields.insert(header::SET_COOKIE, cookie);
    }
    answer
}
