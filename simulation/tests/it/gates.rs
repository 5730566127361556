//! What the table has been, seen from the seam between the planes: which gates were published, closed and reported empty,
//! and for whom the door was shut. From it follows where a request may arrive.

use swap_core::Methods;

/// A gate that was published.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    /// Of its release; none while the app was empty.
    instances: Vec<usize>,
    published_ms: u64,
    closed_ms: Option<u64>,
    /// It was closed for everybody at once: then it is known what its end means.
    closed_for_all: bool,
    ended_ms: Option<u64>,
}

/// What the table has been in this process of the daemon, and what of it lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    seen: Vec<Seen>,
    /// Numbers grow, also from one process to the next.
    pub(crate) generation: u64,
    /// Who serves, by its id.
    pub(crate) live: Option<String>,
    /// Methods for which the door was shut by command of the control plane, and since when.
    shut: Vec<(Methods, u64)>,
    published: bool,
}

impl Gates {
    pub(super) fn begin_life(&mut self, now: u64) {
        self.seen.clear();
        self.published = false;
        self.shut = vec![(Methods::ALL, now)];
    }

    pub(crate) fn publish(
        &mut self,
        generation: u64,
        number: u64,
        live: Option<String>,
        instances: Vec<usize>,
        now: u64,
    ) -> Result<(), String> {
        let newest = self.seen.iter().map(|seen| seen.number).max();
        if generation <= self.generation || newest.is_some_and(|newest| number <= newest) {
            let before = self.generation;
            return Err(format!("I8: generation {generation} follows {before}"));
        }
        self.generation = generation;
        // A door that nobody has said anything of opens with the first table in which somebody serves.
        if !std::mem::replace(&mut self.published, true) && live.is_some() && self.is_untouched() {
            self.shut.clear();
        }
        self.live = live;
        self.seen.push(Seen {
            number,
            instances,
            published_ms: now,
            closed_ms: None,
            closed_for_all: false,
            ended_ms: None,
        });
        Ok(())
    }

    fn is_untouched(&self) -> bool {
        self.shut.len() == 1
    }

    /// Only a gate that a published table has replaced is ever closed.
    pub(crate) fn close(&mut self, number: u64, all: bool, now: u64) -> Result<(), String> {
        let newest = self.seen.iter().map(|seen| seen.number).max();
        if newest.is_some_and(|newest| newest <= number) {
            return Err(format!("gate {number} was closed before it was replaced"));
        }
        if let Some(seen) = self.find(number) {
            seen.closed_for_all |= all && seen.closed_ms.is_none();
            seen.closed_ms.get_or_insert(now);
        }
        Ok(())
    }

    /// Nothing runs behind it any more, and no connection is left to its release.
    pub(crate) fn ended(&mut self, number: u64, now: u64) -> Result<(), String> {
        match self.find(number) {
            Some(seen) if seen.closed_ms.is_none() => {
                Err(format!("gate {number} is empty and was never closed"))
            }
            Some(seen) => {
                if seen.closed_for_all {
                    seen.ended_ms.get_or_insert(now);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Seen> {
        self.seen.iter_mut().find(|seen| seen.number == number)
    }

    pub(crate) fn hold(&mut self, methods: Methods, now: u64) {
        // Of what was shut before, that which still is has been so for longer.
        let both = |shut: Methods| Methods::from_bits(shut.bits() & methods.bits());
        let before = self.shut.iter().map(|(shut, since)| (both(*shut), *since));
        let mut shut: Vec<_> = before.filter(|(shut, _)| *shut != Methods::NONE).collect();
        shut.push((methods, now));
        self.shut = shut;
    }

    pub(crate) fn open(&mut self) {
        self.shut.clear();
    }

    /// Whether a request that was sent then may arrive at this instance now.
    pub(crate) fn may_arrive(
        &self,
        instance: usize,
        method: &str,
        sent: u64,
        now: u64,
    ) -> Result<(), String> {
        let is_of = |seen: &&Seen| seen.instances.contains(&instance) && seen.published_ms <= now;
        let of: Vec<_> = self.seen.iter().filter(is_of).collect();
        if of.is_empty() {
            return Err("I3: it is in no table".to_owned());
        }
        // The clock counts milliseconds: what is done in the same one has no order.
        let admits = |seen: &&&Seen| seen.closed_ms.is_none_or(|closed| closed >= sent);
        let of: Vec<_> = of.iter().filter(admits).collect();
        if of.is_empty() {
            return Err("I3: every gate to it was closed before it was sent".to_owned());
        }
        if of
            .iter()
            .all(|seen| seen.ended_ms.is_some_and(|ended| ended < now))
        {
            return Err("I9: its release is retired".to_owned());
        }
        let method = Methods::one(method);
        let shut = self
            .shut
            .iter()
            .find(|(shut, since)| shut.meets(method) && *since < sent);
        match shut {
            Some((_, since)) => Err(format!("the door has been shut for it since {since} ms")),
            None => Ok(()),
        }
    }

    /// Whether what was sent and arrived then may still run there.
    pub(crate) fn may_run(&self, instance: usize, sent: u64, arrived: u64) -> bool {
        let candidate = |seen: &&Seen| {
            seen.instances.contains(&instance)
                && seen.published_ms <= arrived
                && seen.closed_ms.is_none_or(|closed| closed >= sent)
        };
        self.seen
            .iter()
            .filter(candidate)
            .any(|seen| seen.ended_ms.is_none())
    }
}
