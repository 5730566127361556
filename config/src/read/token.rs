//! Names of fields and cookies.

/// The longest one, in octets.
const TOKEN_MAX: usize = 64;
/// The cookie by which we know a client again.
const OUR_COOKIE: &str = "holdfast_client";

/// Whether it is a token (RFC 9110, 5.6.2) of a sane length.
pub(super) fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(token)
}

/// A cookie's name (RFC 6265, 4.1.1).
pub(super) fn cookie_name(text: &str) -> Result<String, &'static str> {
    match text {
        OUR_COOKIE => Err("by that cookie Holdfast itself knows a client again"),
        text if is_token(text) => Ok(text.to_owned()),
        _ => Err("a cookie's name is 1 to 64 letters, digits, hyphens or underscores"),
    }
}
