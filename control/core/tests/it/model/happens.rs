//! What may happen next in a story, and to whom.

use proptest::prelude::*;
use swap_core::Strategy as Takeover;

const RELEASES: [&str; 3] = ["a", "b", "c"];

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Happens {
    Promote {
        release: &'static str,
        by_id: bool,
        strategy: Takeover,
        command: bool,
        if_current: Option<&'static str>,
    },
    /// An operation that began before is asked for again.
    Again(u32),
    Stage(&'static str),
    Unstage(&'static str),
    Hold,
    Resume,
    Rollback,
    Abort,
    Block,
    Unblock,
    Pause,
    Advance,
    /// Half of the clients get another release, all the others the live one.
    StartExperiment(&'static str),
    CloseExperiment,
    /// The judge says no, if it is asked at all.
    SaysNo,
    /// All goes well, up to the swap, or to the end.
    GoesWell {
        to_the_end: bool,
    },
    /// Nothing new gets ready, requests never end, until everything is settled.
    GoesBadly,
    /// The process is killed, and started again.
    Crash,
}

pub(super) fn releases() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&RELEASES[..])
}

pub(super) fn promotes() -> impl Strategy<Value = Happens> {
    let strategies =
        prop::sample::select(vec![Takeover::Overlap, Takeover::Hold, Takeover::Canary]);
    let current = prop::option::weighted(0.2, releases());
    (
        releases(),
        any::<bool>(),
        strategies,
        any::<bool>(),
        current,
    )
        .prop_map(
            |(release, by_id, strategy, command, if_current)| Happens::Promote {
                release,
                by_id,
                strategy,
                command: command && strategy == Takeover::Hold,
                if_current,
            },
        )
}
