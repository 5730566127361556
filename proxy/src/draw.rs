//! draw: who gets which release of a split. Cohorts and whoever has asked for it see the next one; everybody else is put into
//! a place by what it is known by, always the same one within a rollout. A request is looked at once: whoever waits, or comes
//! back, is who it was.

use holdfast_config::Sticky;
use http::HeaderMap;
use http::header::HeaderValue;

use crate::account::Account;
use crate::cookies;
use crate::door::share_of;
use crate::exchange::Exchange;
use crate::opt_in;
use crate::split::{Seat, Split, unit_of};
use crate::table::App;

/// By this cookie of ours a client is known again.
const CLIENT: &str = "holdfast_client";
/// Of its value.
const HEX_DIGITS: usize = 16;

/// Who sends a request, as far as a split asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// Of a cohort.
    Member,
    /// Of none.
    Stranger,
    /// Of none, and known by this; if that is new, it is to be told.
    Unit { id: u64, is_new: bool },
}

/// What the request gets under the snapshot that it was routed by. What may be a cohort's secret is taken out of it.
pub(crate) fn draw(app: &App, exchange: &mut Exchange, account: &mut Account) -> Seat {
    if app.split.is_none() && app.settings.cohorts.is_none() {
        return Seat::LIVE;
    }
    recognise(app, exchange, account.who());
    match &app.split {
        Some(split) if !account.is_settled() => seat(app, split, exchange, account.who()),
        Some(_) | None => Seat::LIVE,
    }
}

/// Whether it is a cohort's: to be known before the secret is gone.
fn recognise(app: &App, exchange: &mut Exchange, who: &mut Who) {
    let cohorts = app.settings.cohorts.as_ref();
    let fields = &mut exchange.head.headers;
    if *who == Who::Unknown {
        let client = exchange.origin.client;
        let is_member = cohorts.is_some_and(|cohorts| cohorts.have(fields, client));
        *who = if is_member {
            Who::Member
        } else {
            Who::Stranger
        };
    }
    if let Some(cohorts) = cohorts {
        cohorts.strip(fields);
    }
}

fn seat(app: &App, split: &Split, exchange: &Exchange, who: &mut Who) -> Seat {
    if *who == Who::Member {
        return split.preview();
    }
    let told = Told::of(app, split, &exchange.head.headers);
    if told.opted_in {
        return split.preview();
    }
    if !split.draws() {
        return Seat::LIVE;
    }
    let (id, is_new) = match *who {
        Who::Unit { id, is_new } => (id, is_new),
        Who::Unknown | Who::Member | Who::Stranger => unit(split.sticky(), exchange, told.id),
    };
    *who = Who::Unit { id, is_new };
    split.seat(id)
}

/// What it is known by, and whether that was made just now for good.
fn unit(sticky: Sticky, exchange: &Exchange, told: Option<u64>) -> (u64, bool) {
    let made = || fastrand::u64(..);
    match (sticky, told) {
        (Sticky::None, _) => (made(), false),
        (Sticky::Client, _) => (unit_of(share_of(exchange.origin.client)), false),
        (Sticky::Cookie, Some(id)) => (id, false),
        (Sticky::Cookie, None) => (made(), true),
    }
}

/// What a client's cookies say. They are looked at once.
#[derive(Default)]
struct Told {
    /// It has asked for the next release, and that is to be had.
    opted_in: bool,
    /// What it is known by.
    id: Option<u64>,
}

impl Told {
    fn of(app: &App, split: &Split, fields: &HeaderMap) -> Self {
        let opt_in = opt_in::cookie(app);
        let by_cookie = split.draws() && split.sticky() == Sticky::Cookie;
        let mut told = Self::default();
        if opt_in.is_none() && !by_cookie {
            return told;
        }
        for cookie in cookies::all(fields) {
            told.id = told.id.or_else(|| cookie.value_of(CLIENT).and_then(id));
            let wish = opt_in.and_then(|name| cookie.value_of(name));
            told.opted_in |= wish.is_some_and(opt_in::is_yes);
        }
        told
    }
}

/// What a client was given, if it is that.
fn id(value: &[u8]) -> Option<u64> {
    let digits: &[u8; HEX_DIGITS] = value.try_into().ok()?;
    digits.iter().try_fold(0, |id, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(id << 4 | u64::from(digit))
    })
}

impl Who {
    /// What a client that is new is to be known by.
    pub(crate) fn cookie(self, secure: bool) -> Option<HeaderValue> {
        match self {
            Self::Unit { id, is_new: true } => {
                cookies::give(CLIENT, format_args!("{id:0HEX_DIGITS$x}"), secure)
            }
            Self::Unknown | Self::Member | Self::Stranger | Self::Unit { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn known(fields: &HeaderMap) -> Option<u64> {
        cookies::find(fields, CLIENT).find_map(id)
    }

    fn fields(cookie: &str) -> HeaderMap {
        [(header::COOKIE, HeaderValue::try_from(cookie).unwrap())]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_client_is_known_again_by_what_it_was_given() {
        for id in [0, 255, u64::MAX] {
            let who = Who::Unit { id, is_new: true };
            let given = who.cookie(false).unwrap();
            let pair = given
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned();
            assert_eq!(known(&fields(&format!("a=1; {pair}"))), Some(id));
            assert_eq!(Who::Unit { id, is_new: false }.cookie(true), None);
        }
    }

    #[test]
    fn what_is_no_id_of_ours_is_as_good_as_none() {
        for value in [
            "",
            "1",
            "+00000000000000f",
            "00000000000000fg",
            "000000000000000ff",
        ] {
            assert_eq!(
                known(&fields(&format!("holdfast_client={value}"))),
                None,
                "{value}"
            );
        }
        let second = "holdfast_client=x; holdfast_client=00000000000000ff";
        assert_eq!(known(&fields(second)), Some(255));
    }
}
