//! The control plane's words and the configuration's, as the gate and the queue have them, and back.

use holdfast_config::{Hold, ResumeRate};
use holdfast_control::plane::HoldCounts;
use holdfast_control::wire::Shed;
use swap_core::Methods;
use swap_gate::{Bounds, Class, Classes, Rate};

use crate::clock;
use crate::table::Door;

/// The classes that these methods belong to.
pub(super) fn classes(methods: Methods) -> Classes {
    let safe = if methods.any_safe() {
        Classes::SAFE
    } else {
        Classes::NONE
    };
    if methods.meets(Methods::WRITES) {
        safe.with(Class::Unsafe)
    } else {
        safe
    }
}

pub(super) fn bounds(hold: &Hold) -> Bounds {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let max_per_client = (hold.max_requests as f64 * hold.max_share).ceil() as usize;
    Bounds {
        max_requests: hold.max_requests,
        max_bytes: hold.max_bytes,
        max_wait: hold.max_wait,
        max_per_client,
        rate: match hold.resume_rate {
            ResumeRate::Auto => Rate::Auto,
            ResumeRate::PerSecond(rate) => Rate::PerSecond(rate),
        },
    }
}

pub(super) fn hold_counts(door: &Door) -> HoldCounts {
    let counts = door.counts(clock::now());
    HoldCounts {
        number: counts.number,
        active: counts.active,
        given_up: counts.given_up,
        cause: counts.cause,
        methods: counts.active.then(|| Methods::from_bits(counts.methods)),
        held: counts.held,
        waiting: counts.waiting,
        waiting_bytes: counts.waiting_bytes,
        oldest: counts.oldest,
        held_peak: counts.held_peak,
        longest: counts.longest,
        released: counts.released,
        abandoned: counts.abandoned,
        shed: Shed {
            full: counts.shed.full,
            bytes: counts.shed.bytes,
            share: counts.shed.share,
            timeout: counts.shed.timeout,
        },
    }
}
