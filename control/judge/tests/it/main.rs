//! What the judge promises, one module for one promise.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on stops, and tells what it has seen"
)]

// What the example simulates many times over is simulated here a few times.
#[path = "../../examples/rollouts/peers.rs"]
#[allow(dead_code, reason = "the example has all of it")]
mod peers;
#[path = "../../examples/rollouts/world.rs"]
mod world;

mod coming_back;
mod comparing_branches;
mod edges;
mod false_alarms;
mod finding;
mod guarding;
mod no_control_left;
mod passing;
mod seed;
mod sparing_the_better;
mod tolerating;

use swap_judge::{Arm, Judge, Look, Place, Rules, Times};

/// An arm whose units are requests.
fn arm(requests: u64, errors: u64) -> Arm {
    Arm {
        requests,
        errors,
        units: requests,
        erred: errors,
        times: Times::default(),
    }
}

fn look(canary: Arm, control: Arm) -> Look {
    Look {
        canary,
        control,
        slots: None,
    }
}

/// The default rollout's, at the first attempt.
fn judge() -> Judge {
    judge_by(Rules::default())
}

fn judge_by(rules: Rules) -> Judge {
    let place = Place {
        steps: 4,
        attempt: 0,
    };
    Judge::new(rules, place)
}

/// So many times around one, from half of it to half more.
fn times(count: u64, us: u64) -> Times {
    let mut times = Times::default();
    (0..count).for_each(|place| times.record(us / 2 + us * (place % 1000) / 1000));
    times
}
