//! The far end of a WebSocket: the real handshake (RFC 6455, 4.2.2), then an echo that does not look into frames.

use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::answer::Answer;
use super::book::Entry;
use super::serve::Closing;
use crate::websocket::accept;

/// 101 and an echo, if it is asked for properly; else 400.
pub(super) fn upgrade(
    mut request: Request<Incoming>,
    entry: Entry,
    closing: Closing,
) -> Response<Answer> {
    let Some(accepted) = accepted(&request) else {
        let mut response = Response::new(Answer::whole(
            "no WebSocket asked for\n".into(),
            Some(entry),
        ));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    tokio::task::spawn_local(echo(hyper::upgrade::on(&mut request), entry, closing));
    let mut response = Response::new(Answer::whole("".into(), None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    response
}

fn accepted(request: &Request<Incoming>) -> Option<HeaderValue> {
    let asked = request.headers().get(UPGRADE)?;
    if !asked.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    HeaderValue::try_from(accept(key.as_bytes())).ok()
}

/// Until the other side ends, or the app does.
async fn echo(upgraded: OnUpgrade, mut entry: Entry, mut closing: Closing) {
    let Ok(stream) = upgraded.await else { return };
    let mut stream = TokioIo::new(stream);
    let mut octets = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut octets) => read,
            () = closing.begun() => break,
        };
        match read {
            Ok(0) => break,
            Ok(len) if stream.write_all(&octets[..len]).await.is_ok() => {}
            Ok(_) | Err(_) => return,
        }
    }
    if stream.shutdown().await.is_ok() {
        entry.completed();
    }
}
