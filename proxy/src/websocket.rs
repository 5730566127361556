//! Who shakes hands with the app about a WebSocket: the client, whose words we pass on, or we, for a client in HTTP/2, which
//! has no handshake of its own (RFC 8441, 5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use sha1::{Digest, Sha1};

use crate::exchange::Exchange;
use crate::policy;

/// RFC 6455, 1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A WebSocket that is asked for.
pub(crate) enum Websocket {
    /// In HTTP/1.1: the client knows what the app has to say.
    Passed,
    /// In HTTP/2: the app has to say this.
    Ours(HeaderValue),
}

impl Websocket {
    /// What the exchange asks for. A key goes into its head if we need one.
    pub(crate) fn of(exchange: &mut Exchange) -> Option<Self> {
        if !exchange.facts.websocket {
            return None;
        }
        if !exchange.facts.connect {
            return Some(Self::Passed);
        }
        let key = STANDARD.encode(fastrand::u128(..).to_ne_bytes());
        let expected = accept(key.as_bytes());
        let fields = &mut exchange.head.headers;
        // Base64 is visible ASCII, so the fallbacks are never taken.
        let value = |text: String| HeaderValue::try_from(text).ok();
        fields.insert(header::SEC_WEBSOCKET_KEY, value(key)?);
        Some(Self::Ours(value(expected)?))
    }

    /// Whether the app's 101 is an answer to what it was asked (RFC 6455, 4.1).
    pub(crate) fn is_opened_by(&self, fields: &HeaderMap) -> bool {
        policy::is_websocket(fields)
            && match self {
                Self::Passed => true,
                Self::Ours(expected) => fields.get(header::SEC_WEBSOCKET_ACCEPT) == Some(expected),
            }
    }

    /// Says to the client that it is open: what is left of the app's words, and the status.
    pub(crate) fn tell_opened(&self, fields: &mut HeaderMap) -> StatusCode {
        match self {
            Self::Passed => {
                policy::offer_websocket(fields);
                StatusCode::SWITCHING_PROTOCOLS
            }
            Self::Ours(_) => {
                fields.remove(header::SEC_WEBSOCKET_ACCEPT);
                StatusCode::OK
            }
        }
    }

    /// Whether the client speaks HTTP/2.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(MAGIC).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_rfc_6455() {
        let accepted = accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
