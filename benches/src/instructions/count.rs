//! What is counted.

use std::fmt;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use swap_core::{Moment, step};
use swap_gate::{Bounds, Class, Gate, Queue, Rate};

use super::ALONE;
use super::callgrind::Callgrind;
use super::cli::Cli;
use super::daemon::{Asked, Manner};
use crate::promote;
use crate::trouble::{Trouble, While as _};

/// One question; the answer is a number of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Count {
    /// A small GET on a connection that is kept
    Kept,
    /// The same with the access log on
    Logged,
    /// A small GET on a connection of its own
    Fresh,
    /// A small GET in HTTP/2, one of 32 streams, passed on in HTTP/1.1
    H2,
    /// An open door, and into the gate and out of it
    Gate,
    /// The three events of a promote, decided
    Step,
}

impl Count {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// What one of it is.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Kept | Self::Logged | Self::Fresh | Self::H2 => "a request",
            Self::Gate => "a request, of those above",
            Self::Step => "a promote",
        }
    }

    /// How often it is done in the short run and in the long one. The short one is over what happens only at first; the
    /// long one is long enough that what happens by time (probes, looks at memory) is lost in it.
    fn times(self) -> [u32; 2] {
        match self {
            Self::Kept | Self::Logged => [500, 8_500],
            Self::Fresh => [200, 3_200],
            // Whole rounds of all streams, also of a twentieth.
            Self::H2 => [640, 8_320],
            Self::Gate => [1_000, 101_000],
            Self::Step => [100, 1_100],
        }
    }

    /// Counts the instructions of one.
    pub(super) fn count(self, callgrind: &Callgrind, cli: &Cli) -> Result<f64, Trouble> {
        let [few, many] = self.times().map(|times| cli.times(times));
        let more = self
            .all_of(many, callgrind, cli)?
            .saturating_sub(self.all_of(few, callgrind, cli)?);
        #[expect(
            clippy::cast_precision_loss,
            reason = "some billions, far below where it begins"
        )]
        Ok(more as f64 / f64::from(many - few))
    }

    /// All instructions of a process that does it so often.
    fn all_of(self, times: u32, callgrind: &Callgrind, cli: &Cli) -> Result<u64, Trouble> {
        let of_daemon = |manner| {
            let asked = Asked {
                name: format!("{self}-{times}"),
                times,
                logs: self == Self::Logged,
                manner,
            };
            asked.count(callgrind, cli.holdfast.as_deref())
        };
        match self {
            Self::Kept | Self::Logged => of_daemon(Manner::Kept),
            Self::Fresh => of_daemon(Manner::Fresh),
            Self::H2 => of_daemon(Manner::Http2),
            Self::Gate | Self::Step => {
                let own = std::env::current_exe().while_doing("finding this program")?;
                let mut command = Command::new(own);
                let (name, times) = (self.to_string(), times.to_string());
                command.args([ALONE, &name, &times]);
                callgrind.run(&format!("{name}-{times}"), command)
            }
        }
    }

    /// Does it so often, with nothing around. What needs a daemon is not done here.
    pub(super) fn work(self, times: u32) {
        match self {
            Self::Kept | Self::Logged | Self::Fresh | Self::H2 => {}
            Self::Gate => gate(times),
            Self::Step => steps(times),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        out.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

fn gate(times: u32) {
    const GET: u16 = 1;
    let bounds = Bounds {
        max_requests: 1_000,
        max_bytes: 1 << 20,
        max_wait: Duration::from_secs(30),
        max_per_client: 100,
        rate: Rate::Auto,
    };
    let (gate, door): (_, Arc<Queue<()>>) = (Gate::new(1), Queue::new(bounds, || {}));
    for _ in 0..times {
        let shut = door.shut_for() & black_box(GET) != 0;
        let entered = gate.try_enter(black_box(0), black_box(Class::Safe));
        assert!(entered && !shut);
        gate.leave(black_box(0), black_box(Class::Safe));
    }
}

fn steps(times: u32) {
    let events = promote::events();
    for _ in 0..times {
        for promoted in &events {
            let event = promoted.event.clone();
            let _ = black_box(step(&promoted.app, event, Moment::default()));
        }
    }
}
