//! Who always sees the next release: known by a secret in a field or a cookie, or by the client's address. The secrets are
//! compared in constant time, and no app ever gets to see one.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use holdfast_config::{Cohort, Network, Sign};
use http::{HeaderMap, HeaderName};

use crate::cookies;

/// The cohorts of an app; there is at least one.
#[derive(Debug)]
pub(crate) struct Cohorts {
    fields: Box<[Secret<HeaderName>]>,
    cookies: Box<[Secret<Box<str>>]>,
    clients: Box<[Network]>,
}

/// What it is called, and what it is.
type Secret<Name> = (Name, Box<[u8]>);

impl Cohorts {
    /// None: there are none.
    pub(crate) fn of(cohorts: &[Cohort]) -> Option<Self> {
        let (mut fields, mut cookies, mut clients) = (Vec::new(), Vec::new(), Vec::new());
        for Cohort { name: _, sign } in cohorts {
            match sign {
                Sign::Header { name, value } => {
                    // The configuration takes no other.
                    let name = HeaderName::try_from(name.as_str()).ok();
                    fields.extend(name.map(|name| (name, octets(value))));
                }
                Sign::Cookie { name, value } => {
                    cookies.push((name.as_str().into(), octets(value)));
                }
                Sign::Clients(networks) => clients.extend_from_slice(networks),
            }
        }
        (!cohorts.is_empty()).then(|| Self {
            fields: fields.into(),
            cookies: cookies.into(),
            clients: clients.into(),
        })
    }

    /// Whether who sends these fields from there belongs to one.
    pub(crate) fn have(&self, fields: &HeaderMap, client: IpAddr) -> bool {
        let by_field = |(name, secret): &Secret<HeaderName>| {
            let values = fields.get_all(name).into_iter();
            any(values.map(|value| same(value.as_bytes(), secret)))
        };
        let by_cookie = |(name, secret): &Secret<Box<str>>| {
            any(cookies::find(fields, name).map(|value| same(value, secret)))
        };
        let known = any(self.fields.iter().map(by_field));
        known
            | any(self.cookies.iter().map(by_cookie))
            | self.clients.iter().any(|network| network.contains(client))
    }

    /// Takes out what may be a secret, also one that is wrong.
    pub(crate) fn strip(&self, fields: &mut HeaderMap) {
        for (name, _) in &self.fields {
            fields.remove(name);
        }
        if !self.cookies.is_empty() {
            cookies::remove(fields, self.cookies.iter().map(|(name, _)| &**name));
        }
    }
}

fn octets(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

/// In a time that says no more than whether the lengths are the same.
fn same(said: &[u8], secret: &[u8]) -> bool {
    verify_slices_are_equal(said, secret).is_ok()
}

/// Looks at each of them, so that the time does not say which it was.
fn any(found: impl Iterator<Item = bool>) -> bool {
    found.fold(false, |any, one| any | one)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn cohorts() -> Cohorts {
        let sign = |sign| Cohort {
            name: "staff".to_owned(),
            sign,
        };
        let (name, value) = ("x-staff".to_owned(), "a long secret".to_owned());
        let cookie = ("staff".to_owned(), "another one".to_owned());
        Cohorts::of(&[
            sign(Sign::Header { name, value }),
            sign(Sign::Cookie {
                name: cookie.0,
                value: cookie.1,
            }),
            sign(Sign::Clients(vec![Network::parse("10.0.0.0/8").unwrap()])),
        ])
        .unwrap()
    }

    fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::try_from(*value).unwrap();
            (HeaderName::from_static(name), value)
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn who_belongs_to_a_cohort_is_known_by_field_cookie_or_address() {
        let (near, far) = (
            "10.1.2.3".parse().unwrap(),
            "192.0.2.1".parse::<IpAddr>().unwrap(),
        );
        let knows = |lines: &[_], client| cohorts().have(&fields(lines), client);
        assert!(knows(&[("x-staff", "a long secret")], far));
        assert!(knows(
            &[("x-staff", "no"), ("x-staff", "a long secret")],
            far
        ));
        assert!(knows(&[("cookie", "a=1; staff=another one")], far));
        assert!(knows(&[], near));
        for said in ["", "a long secre", "a long secrets", "A long secret"] {
            assert!(!knows(&[("x-staff", said)], far), "{said}");
        }
        assert!(!knows(&[("cookie", "staff=a long secret")], far));
    }

    #[test]
    fn what_may_be_a_secret_is_taken_out_right_or_wrong() {
        let mut sent = fields(&[
            ("x-staff", "wrong"),
            ("x-staff", "a long secret"),
            ("cookie", "a=1; staff=x"),
            ("x-other", "stays"),
        ]);
        cohorts().strip(&mut sent);
        assert_eq!(sent, fields(&[("cookie", "a=1"), ("x-other", "stays")]));
    }

    #[test]
    fn without_cohorts_there_is_nothing_to_look_at() {
        assert!(Cohorts::of(&[]).is_none());
    }
}
