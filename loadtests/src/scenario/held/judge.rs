//! Whether a hold was as it must be: each one answered, once, and in order.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_load::clock::Moment;
use holdfast_load::report::spell;
use holdfast_load::verdict::Verdict;

use super::cell::{Cell, Size};
use crate::lean::{Arrival, Outcome, Sent};

/// What is let go goes on from several threads of the daemon, so the order in which it comes to the app has a grain.
const ORDER_GRAIN: Duration = Duration::from_millis(50);

/// In which order they came to the app. A batch was sent when all before it were held, so it is known who was first,
/// however late the daemon's threads have their turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// How long after one of a later batch one came, at worst.
    pub(super) worst: Duration,
    /// How many came after one that was sent later on the same connection, and how long after it, at worst. The app reads
    /// them from sockets of their own, so this has a grain too.
    pub(super) on_a_connection: usize,
    pub(super) worst_on_a_connection: Duration,
}

impl Order {
    /// Request `n` was sent as the `n`th, on connection `n % connections`.
    pub(super) fn of(arrivals: &[Arrival], size: Size) -> Self {
        let Size {
            connections, batch, ..
        } = size;
        let mut order = Self::default();
        // Of each connection those that came before all that were sent before them.
        let mut first_on: Vec<Vec<(u32, Moment)>> = vec![Vec::new(); connections as usize];
        // When the first of each batch came, and the last.
        let mut came: BTreeMap<u32, (Moment, Moment)> = BTreeMap::new();
        for Arrival { id, at } in arrivals {
            let first_on = &mut first_on[(id % connections) as usize];
            let overtook = first_on.iter().find(|(other, _)| other > id);
            if let Some((_, earlier)) = overtook {
                order.on_a_connection += 1;
                order.worst_on_a_connection = order.worst_on_a_connection.max(at.since(*earlier));
            } else {
                first_on.push((*id, *at));
            }
            let (first, last) = came.entry(id / batch).or_insert((*at, *at));
            (*first, *last) = ((*first).min(*at), (*last).max(*at));
        }
        let mut first_of_later: Option<Moment> = None;
        for (first, last) in came.into_values().rev() {
            let later = first_of_later.unwrap_or(last);
            order.worst = order.worst.max(last.since(later));
            first_of_later = Some(first.min(later));
        }
        order
    }

    /// First come, first served, but for the grain.
    pub(super) fn is_kept(&self) -> bool {
        self.worst <= ORDER_GRAIN && self.worst_on_a_connection <= ORDER_GRAIN
    }
}

/// Memory is back to where it was.
pub(super) fn is_calm(before_kib: u64, now_kib: u64) -> bool {
    now_kib * 10 <= before_kib * 12
}

/// None is lost, none comes twice: each time.
pub(super) fn whole(verdict: &mut Verdict, cell: &Cell) {
    let name = cell.name();
    let mut endings: BTreeMap<String, usize> = BTreeMap::new();
    for one in &cell.sent {
        *endings.entry(format!("{:?}", one.outcome)).or_default() += 1;
    }
    let all = cell.size.requests as usize;
    let is_answered = |one: &Sent| one.outcome == Outcome::Answered;
    verdict.must(
        format!("{name}: each is answered, with what is its own"),
        format!("{endings:?}"),
        cell.sent.len() == all && cell.sent.iter().all(is_answered),
    );
    let mut times = vec![0u32; all];
    for arrival in &cell.arrivals {
        if let Some(times) = times.get_mut(arrival.id as usize) {
            *times += 1;
        }
    }
    let never = times.iter().filter(|times| **times == 0).count();
    let again = times.iter().filter(|times| **times > 1).count();
    verdict.must(
        format!("{name}: each comes to the app once"),
        format!("{never} never, {again} more than once"),
        never == 0 && again == 0,
    );
}

/// Its order, and its memory.
pub(super) fn cell(verdict: &mut Verdict, cell: &Cell, kib_max: f64) {
    let name = cell.name();
    let worst = cell.order.worst;
    verdict.must(
        format!("{name}: first come, first served"),
        format!("{} after one that came later, at worst", spell(worst)),
        worst <= ORDER_GRAIN,
    );
    if cell.size.connections < cell.size.requests {
        let (overtaken, worst) = (cell.order.on_a_connection, cell.order.worst_on_a_connection);
        verdict.must(
            format!("{name}: on one connection all are served in order"),
            format!("{overtaken} overtaken, by {} at worst", spell(worst)),
            worst <= ORDER_GRAIN,
        );
    }
    if !cell.size.tells_memory() {
        return;
    }
    let each = cell.kib_each();
    verdict.must(
        format!("{name}: at most {kib_max} KiB for each"),
        format!("{each:.2} KiB"),
        each <= kib_max,
    );
    verdict.must(
        format!("{name}: afterwards memory is within a fifth of before"),
        format!(
            "{} KiB before, {} KiB {} after the clients had gone",
            cell.before_kib,
            cell.after_kib,
            spell(cell.calm)
        ),
        is_calm(cell.before_kib, cell.after_kib),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two batches of three, on two connections.
    fn order(ids: &[u32]) -> Order {
        let arrival = |(id, at): (&u32, u64)| Arrival {
            id: *id,
            at: Moment::from_micros(at * 10),
        };
        let arrivals: Vec<_> = ids.iter().zip(0..).map(arrival).collect();
        let size = Size {
            connections: 2,
            requests: 6,
            batch: 3,
        };
        Order::of(&arrivals, size)
    }

    #[test]
    fn who_comes_in_the_order_of_sending_is_in_order() {
        assert_eq!(order(&[0, 1, 2, 3, 4, 5]), Order::default());
        let within_batches = order(&[1, 2, 0, 4, 5, 3]);
        assert_eq!(within_batches.worst, Duration::ZERO);
    }

    #[test]
    fn overtaking_is_by_how_much_earlier_one_of_a_later_batch_came() {
        let order = order(&[0, 5, 2, 1, 3, 4]);
        assert_eq!(order.worst.as_micros(), 20);
        // 1 and 3 came after 5, on the same connection.
        assert_eq!(order.on_a_connection, 2);
        assert_eq!(order.worst_on_a_connection.as_micros(), 30);
    }

    #[test]
    fn a_fifth_more_is_calm() {
        assert!(is_calm(1_000, 1_200) && !is_calm(1_000, 1_201));
    }
}
