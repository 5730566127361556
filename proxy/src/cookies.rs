//! Cookies as far as we have to do with them (RFC 6265): found, taken out, and given.

use std::fmt;

use http::HeaderMap;
use http::header::{self, HeaderValue};
use memchr::memchr;

/// How long a client is known by what we gave it: 30 days.
const MAX_AGE_S: u32 = 30 * 24 * 60 * 60;

/// A cookie as it was sent: name, equals sign and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie<'a>(&'a [u8]);

/// Each, in their order.
pub(crate) fn all(fields: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let values = fields.get_all(header::COOKIE).into_iter();
    values.flat_map(|value| pairs(value.as_bytes()))
}

/// The values of the cookies with this name.
pub(crate) fn find<'a>(fields: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    all(fields).filter_map(move |cookie| cookie.value_of(name))
}

impl<'a> Cookie<'a> {
    /// Its value, if this is its name.
    pub(crate) fn value_of(self, name: &str) -> Option<&'a [u8]> {
        let behind = self.0.strip_prefix(name.as_bytes())?;
        let value = behind.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii())
    }
}

/// Takes the cookies with these names out, and nothing else.
pub(crate) fn remove<'a>(fields: &mut HeaderMap, names: impl Iterator<Item = &'a str> + Clone) {
    let is_named = |cookie: Cookie<'_>| names.clone().any(|name| cookie.value_of(name).is_some());
    let values = fields.get_all(header::COOKIE);
    let has_one = |value: &HeaderValue| pairs(value.as_bytes()).any(is_named);
    if !values.iter().any(has_one) {
        return;
    }
    let rest = |value: &HeaderValue| {
        let kept: Vec<_> = pairs(value.as_bytes())
            .filter(|cookie| !is_named(*cookie))
            .map(|Cookie(pair)| pair.trim_ascii_end())
            .collect();
        HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok()
    };
    let rest: Vec<_> = values.iter().filter_map(rest).collect();
    fields.remove(header::COOKIE);
    for value in rest.into_iter().filter(|value| !value.is_empty()) {
        fields.append(header::COOKIE, value);
    }
}

/// A cookie that scripts of the page do not see, for the whole host.
pub(crate) fn give(name: &str, value: impl fmt::Display, secure: bool) -> Option<HeaderValue> {
    given(name, value, MAX_AGE_S, secure)
}

/// Takes it back.
pub(crate) fn take_back(name: &str, secure: bool) -> Option<HeaderValue> {
    given(name, "", 0, secure)
}

fn given(name: &str, value: impl fmt::Display, max_age: u32, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}");
    HeaderValue::try_from(text).ok()
}

/// While a canary is on every request's are looked at, and browsers send kilobytes: so not octet by octet, and no further into
/// each than its name is the one that is looked for.
fn pairs(value: &[u8]) -> impl Iterator<Item = Cookie<'_>> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let end = memchr(b';', value);
        rest = end.map(|end| &value[end + 1..]);
        Some(Cookie(
            value[..end.unwrap_or(value.len())].trim_ascii_start(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[&str]) -> HeaderMap {
        let value = |line: &&str| (header::COOKIE, HeaderValue::try_from(*line).unwrap());
        lines.iter().map(value).collect()
    }

    fn lines(fields: &HeaderMap) -> Vec<&str> {
        let values = fields.get_all(header::COOKIE).into_iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn a_cookie_is_found_in_any_line_and_by_its_whole_name() {
        let fields = fields(&[
            "xa=0; a=1;b = 2 ; ab=6; aa=7; x=a=8; a a=9",
            "a=3=4; A=5; a",
        ]);
        let found = |name| find(&fields, name).collect::<Vec<_>>();
        assert_eq!(found("a"), [&b"1"[..], &b"3=4"[..]]);
        assert_eq!(found("b"), [b"2"]);
        assert_eq!(found("aa"), [b"7"]);
        assert!(found("c").is_empty());
    }

    #[test]
    fn only_the_named_pair_is_taken_out() {
        let mut of_three = fields(&["a=1; secret=x; b=\"2; secret=y", "secret=z", "c=3"]);
        remove(&mut of_three, ["secret"].into_iter());
        assert_eq!(lines(&of_three), ["a=1; b=\"2", "c=3"]);
        let mut untouched = fields(&["a=1;  secrets=2 ;secret"]);
        remove(&mut untouched, ["secret"].into_iter());
        assert_eq!(lines(&untouched), ["a=1;  secrets=2 ;secret"]);
    }

    #[test]
    fn what_is_given_is_for_the_whole_host_and_not_for_scripts() {
        let given = give("holdfast_client", "00000000000000ff", false).unwrap();
        assert_eq!(
            given,
            "holdfast_client=00000000000000ff; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"
        );
        assert_eq!(
            take_back("next", true).unwrap(),
            "next=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure"
        );
    }
}
