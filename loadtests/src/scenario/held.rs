//! Thousands that wait at once, in each way in which a client may ask: nobody is lost, nobody overtakes, and what it takes
//! in time and memory grows as they do.

mod cell;
mod idle;
mod judge;

use holdfast_load::report::{Growth, Report, exponent, spell};
use holdfast_load::verdict::Verdict;

use super::Scenario;
use crate::cli::Options;
use crate::lean::Kind;
use crate::stage::Place;
use crate::trouble::Trouble;
use cell::Cell;
pub(super) use cell::{Site, Size};

/// Streams on a connection, as the daemon allows them unasked.
const STREAMS: u32 = 100;
/// As finely it is known who came first.
const BATCHES: u32 = 25;
/// So often a hold is looked at whose order was not kept.
const LOOKS: usize = 3;
/// The time of a release grows with this power of how many are held, at most: in proportion, but for noise.
const POWER_MAX: f64 = 1.15;

/// KiB of resident memory that each takes, at most.
struct Bounds {
    held: f64,
    idle: f64,
}

fn bounds(kind: Kind) -> Bounds {
    match kind {
        Kind::H1 => Bounds {
            held: 4.4,
            idle: 3.0,
        },
        Kind::H1Tls => Bounds {
            held: 20.0,
            idle: f64::INFINITY,
        },
        Kind::H2 | Kind::H2Tls => Bounds {
            held: 4.0,
            idle: f64::INFINITY,
        },
    }
}

/// How many are held, from few to many.
fn counts(kind: Kind, most: Option<usize>) -> Vec<u32> {
    let usual: &[u32] = match kind {
        Kind::H1 => &[1_000, 5_000, 15_000],
        Kind::H1Tls => &[1_000, 3_000, 7_000],
        Kind::H2 | Kind::H2Tls => &[1_000, 10_000, 100_000],
    };
    let most = most.and_then(|most| u32::try_from(most).ok());
    let most = most.unwrap_or(u32::MAX);
    let mut counts: Vec<u32> = usual.iter().copied().filter(|it| *it < most).collect();
    if counts.len() < usual.len() {
        counts.push(most);
    }
    counts
}

fn size(kind: Kind, requests: u32, batch: u32) -> Size {
    let streams = if kind.is_h2() { STREAMS } else { 1 };
    Size {
        connections: requests.div_ceil(streams),
        requests,
        batch,
    }
}

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let place = Place::new(options)?;
    let mut verdict = Verdict::default();
    let mut figures = Vec::new();
    let mut time = Growth::new(
        "Time of a release",
        "Seconds from `resume` to the last answer, by how many were held",
    );
    let mut memory = Growth::new(
        "Memory while they are held",
        "KiB of resident memory for each that is held, its connection with it, by how many there are",
    );
    for kind in options.kinds.iter().copied() {
        let mut cells = Vec::new();
        let counts = counts(kind, options.count);
        let in_batches = |requests: &u32| size(kind, *requests, requests.div_ceil(BATCHES));
        let mut sizes: Vec<Size> = counts.iter().map(in_batches).collect();
        let growing = sizes.len();
        // The system asks thousands in one moment then whether they are still there, while they wait.
        let at_once = counts.last().filter(|_| kind == Kind::H1);
        sizes.extend(at_once.map(|most| size(kind, *most, *most)));
        for size in sizes {
            let cell = best(options, &place, kind, size, &mut verdict).await?;
            figures.push((cell.name(), told(&cell)));
            judge::cell(&mut verdict, &cell, bounds(kind).held);
            cells.push(cell);
        }
        cells.truncate(growing);
        let of = |figure: fn(&Cell) -> f64| {
            let point = |cell: &Cell| (f64::from(cell.size.requests), figure(cell));
            cells.iter().map(point).collect::<Vec<_>>()
        };
        let times = of(|cell| cell.release.as_secs_f64().max(1e-4));
        if let Some(power) = exponent(&times) {
            verdict.must(
                format!("{}: the time of a release grows in proportion", kind.name()),
                format!("with the power {power:.2} (at most {POWER_MAX})"),
                power <= POWER_MAX,
            );
        }
        time.line(kind.name(), times);
        memory.line(kind.name(), of(|cell| cell.kib_each().max(1e-3)));
    }
    for kind in [Kind::H1, Kind::H1Tls] {
        if !options.kinds.contains(&kind) {
            continue;
        }
        let most = counts(kind, options.count).pop().unwrap_or_default();
        let size = size(kind, most, most);
        if !size.tells_memory() {
            continue;
        }
        let idle = idle::rest(options, &place, kind, size).await?;
        let (each, bound) = (idle.kib_each(), bounds(kind).idle);
        let name = format!("{}, {most} idle connections", kind.name());
        if bound.is_finite() {
            verdict.must(
                format!("{name}: at most {bound} KiB for each"),
                format!("{each:.2} KiB"),
                each <= bound,
            );
        }
        figures.push((name, format!("{each:.2} KiB each")));
    }
    let name = Scenario::Held.to_string();
    let mut report = Report::of_others(name, Scenario::Held.about(), options.seed, verdict);
    for (name, value) in figures {
        report.figure(name, value);
    }
    report.growths = vec![time, memory];
    Ok(report)
}

/// Holds until the order is kept, a few times at most: when the system stops one of the daemon's threads, those of the
/// others come first. That can only make the order worse, and one that is not kept is so each time.
async fn best(
    options: &Options,
    place: &Place,
    kind: Kind,
    size: Size,
    verdict: &mut Verdict,
) -> Result<Cell, Trouble> {
    let mut looks = 0;
    loop {
        let cell = cell::hold(options, place, kind, size).await?;
        looks += 1;
        crate::say(&format!("{}: {}", cell.name(), told(&cell)));
        judge::whole(verdict, &cell);
        if cell.order.is_kept() || looks == LOOKS {
            return Ok(cell);
        }
    }
}

fn told(cell: &Cell) -> String {
    let Cell { order, release, .. } = cell;
    let rested = cell.rested_kib_each();
    let rested = rested.map_or_else(String::new, |kib| format!(" ({kib:.2} at rest)"));
    format!(
        "released in {} ({:.0}/s), {:.2} KiB each{rested}; {} KiB before, {} while held, {} after {}; served {} after a later one, at \
         worst; {} overtaken on their connection",
        spell(*release),
        f64::from(cell.size.requests) / release.as_secs_f64().max(1e-4),
        cell.kib_each(),
        cell.before_kib,
        cell.held_kib,
        cell.after_kib,
        spell(cell.calm),
        spell(order.worst),
        order.on_a_connection,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_the_most_that_are_held() {
        assert_eq!(counts(Kind::H1, None), [1_000, 5_000, 15_000]);
        assert_eq!(counts(Kind::H2, Some(2_000)), [1_000, 2_000]);
        assert_eq!(counts(Kind::H1Tls, Some(300)), [300]);
    }
}
