//! Commands: what was said to the driver, what it answered, and what must therefore outlive it.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_control::simulating::{Commander, Said};
use holdfast_control::wire::{Operation, Receipt};
use simulation::dice::Dice;
use swap_core::{
    AppName, Block, Event, HoldCommand, Methods, OperationId, Outcome, Promote, Release, Rollback,
    Saved, Stage, Strategy,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::book::Shared;
use crate::releases::Releases;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Overlap,
    Hold,
    HoldWithCommand,
    Rollback,
    Abort,
    HoldAll,
    HoldWrites,
    Resume,
    Block,
    Unblock,
    Stage,
    PromoteStaged,
    Unstage,
}

/// What is known of one that begins an operation.
#[derive(Clone, Debug)]
struct Order {
    /// Who is to serve, if it is known.
    to: Option<String>,
    rollback: bool,
    /// The answer has been seen: refused for good, or ended with this receipt.
    refused: bool,
    receipt: Option<Receipt>,
}

/// All that were said.
#[derive(Default)]
pub(crate) struct Orders {
    orders: BTreeMap<String, Order>,
    next: u32,
    /// What was answered last of the block; none while an answer is open.
    blocked: Option<bool>,
    block_open: bool,
}

/// The orders, as those who give them share them.
#[derive(Clone, Default)]
pub(crate) struct SharedOrders(std::rc::Rc<std::cell::RefCell<Orders>>);

/// Somebody who gives orders.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) app: AppName,
    pub(crate) commander: Commander,
    pub(crate) shared: Shared,
    pub(crate) dice: Dice,
    pub(crate) releases: std::sync::Arc<Releases>,
    pub(crate) orders: SharedOrders,
    /// The power is gone: what is answered now was never said.
    pub(crate) storage: crate::storage::Storage,
}

impl Operator {
    /// Says it, and waits for the end of what it begins.
    pub(crate) async fn say(self, verb: Verb) {
        let id = self.orders.next();
        let Some((event, order, word)) = self.event(verb, &id) else {
            return;
        };
        let begins = order.is_some();
        if let Some(order) = order {
            self.orders.0.borrow_mut().orders.insert(id.clone(), order);
        }
        let is_block = matches!(verb, Verb::Block | Verb::Unblock);
        self.orders.0.borrow_mut().block_open |= is_block;
        self.shared.tell(&format!("say: {verb:?}"), &id);
        let said = self.commander.command(&self.app, event, word, None).await;
        if self.storage.disk().without_power {
            return;
        }
        match said {
            Err(problem) => {
                self.shared.tell(&format!("refused: {}", problem.code), &id);
                // One that could not be journalled may be found in the journal all the same if the power fails next.
                if begins && problem.code != "journal" {
                    self.orders.change(&id, |order| order.refused = true);
                }
            }
            Ok(Said::Done(_)) => {
                self.shared.tell(&format!("done: {verb:?}"), &id);
                if is_block {
                    let mut orders = self.orders.0.borrow_mut();
                    orders.blocked = Some(verb == Verb::Block);
                    orders.block_open = false;
                }
            }
            Ok(Said::Operation(state)) => self.follow(verb, id, state).await,
        }
    }

    async fn follow(&self, verb: Verb, id: String, mut state: watch::Receiver<Operation>) {
        let mut commanded = verb != Verb::HoldWithCommand;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                Operation::Ended { receipt } => return self.ended(&id, receipt),
                Operation::Running { phase, .. } if phase == "command" && !commanded => {
                    commanded = true;
                    self.run_command(&id).await;
                    continue;
                }
                Operation::Running { .. } => {}
            }
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    async fn run_command(&self, id: &str) {
        sleep(Duration::from_millis(self.dice.within(0..=1500))).await;
        let fails = self.dice.often(300);
        let result = if fails {
            Err("exit 1".to_owned())
        } else {
            Ok(())
        };
        self.shared.tell(
            if fails {
                "COMMAND failed"
            } else {
                "COMMAND ended"
            },
            id,
        );
        let operation = operation(id);
        let _ = self.commander.command_ended(operation, result).await;
    }

    fn ended(&self, id: &str, receipt: Receipt) {
        if self.storage.disk().without_power {
            return;
        }
        let (verb, outcome) = (receipt.verb.clone(), receipt.outcome);
        self.shared.tell(&format!("ended: {verb} {outcome:?}"), id);
        let shed = receipt.shed.timeout;
        let sum = receipt.released + receipt.abandoned + shed + receipt.waiting;
        self.shared.must(receipt.held == sum, || {
            format!("the receipt's holds do not add up: {receipt:?}")
        });
        let live = self.shared.book().gates.live.clone();
        let swaps = matches!(verb.as_str(), "promote" | "rollback");
        if swaps && matches!(outcome, Outcome::Failed | Outcome::Aborted) {
            let to = receipt.to.as_ref().map(|to| to.as_str().to_owned());
            let stays = live != to || receipt.from == receipt.to;
            self.orders
                .0
                .borrow_mut()
                .note_failed(&self.shared, stays, id);
        }
        self.orders
            .change(id, |order| order.receipt = Some(receipt));
    }

    fn event(&self, verb: Verb, id: &str) -> Option<(Event, Option<Order>, &'static str)> {
        let nameless = || Some(Order::to(None));
        Some(match verb {
            Verb::Overlap => self.promote(id, Strategy::Overlap, false),
            Verb::Hold => self.promote(id, Strategy::Hold, false),
            Verb::HoldWithCommand => self.promote(id, Strategy::Hold, true),
            Verb::PromoteStaged => {
                let (event, order, word) = self.promote(id, Strategy::Overlap, false);
                (without_instances(event), order, word)
            }
            Verb::Rollback => (rollback(id), Some(Order::back()), "rollback"),
            Verb::HoldAll => (self.hold(id, Methods::ALL), nameless(), "hold"),
            Verb::HoldWrites => (self.hold(id, Methods::WRITES), nameless(), "hold"),
            Verb::Stage => (self.stage(id), nameless(), "stage"),
            Verb::Unstage => {
                let release = self.release().id.clone();
                (Event::Unstage { release }, None, "unstage")
            }
            Verb::Abort => (Event::Abort, None, "abort"),
            Verb::Resume => (Event::Resume, None, "resume"),
            Verb::Unblock => (Event::Unblock, None, "unblock"),
            Verb::Block => {
                let (reason, by) = ("simulated".to_owned(), by());
                (Event::Block(Block { reason, by }), None, "block")
            }
        })
    }

    fn release(&self) -> &Release {
        let last = self.releases.count() as u64 - 1;
        let drawn = self.dice.within(0..=last);
        self.releases.release(usize::try_from(drawn).unwrap_or(0))
    }

    /// None, as often as not.
    fn limit(&self, max_ms: u64) -> Option<Duration> {
        let ms = self.dice.within(200..=max_ms);
        self.dice.often(500).then(|| Duration::from_millis(ms))
    }

    fn promote(
        &self,
        id: &str,
        strategy: Strategy,
        command: bool,
    ) -> (Event, Option<Order>, &'static str) {
        let Release {
            id: release,
            instances,
        } = self.release().clone();
        let order = Order::to(Some(release.as_str()));
        let ask = Promote {
            operation: operation(id),
            release,
            instances,
            strategy,
            boot: self.limit(8000),
            drain: self.limit(4000),
            hold: None,
            if_current: None,
            if_generation: None,
            command,
            canary: None,
            reason: None,
            by: by(),
        };
        (Event::Promote(ask), Some(order), "promote")
    }

    fn hold(&self, id: &str, methods: Methods) -> Event {
        Event::Hold(HoldCommand {
            operation: operation(id),
            methods,
            timeout: self.limit(15_000),
            reason: None,
            by: by(),
        })
    }

    fn stage(&self, id: &str) -> Event {
        let Release {
            id: release,
            instances,
        } = self.release().clone();
        Event::Stage(Stage {
            operation: operation(id),
            release,
            instances,
            boot: self.limit(8000),
            by: by(),
        })
    }
}

impl Order {
    fn to(to: Option<&str>) -> Self {
        Self {
            to: to.map(str::to_owned),
            rollback: false,
            refused: false,
            receipt: None,
        }
    }

    fn back() -> Self {
        Self {
            rollback: true,
            ..Self::to(None)
        }
    }
}

fn rollback(id: &str) -> Event {
    Event::Rollback(Rollback {
        operation: operation(id),
        release: None,
        if_generation: None,
        reason: None,
        by: by(),
    })
}

/// By its id alone, as one that is staged.
fn without_instances(event: Event) -> Event {
    match event {
        Event::Promote(ask) => Event::Promote(Promote {
            instances: Vec::new(),
            ..ask
        }),
        other => other,
    }
}

fn by() -> String {
    "uid 0".to_owned()
}

fn operation(id: &str) -> OperationId {
    id.parse().expect("an operation's id")
}

impl SharedOrders {
    fn next(&self) -> String {
        let mut orders = self.0.borrow_mut();
        orders.next += 1;
        format!("o{:04}", orders.next)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Order)) {
        if let Some(order) = self.0.borrow_mut().orders.get_mut(id) {
            change(order);
        }
    }

    /// What the journal says after the daemon's end, beside what was answered before it. I5, I8, I10.
    pub(crate) fn must_be_in(&self, shared: &Shared, saved: &Saved) {
        let mut orders = self.0.borrow_mut();
        let book = &mut *shared.book();
        let (generation, live) = (book.gates.generation, book.gates.live.clone());
        book.must(saved.generation.0 >= generation, || {
            format!(
                "I8: generation {generation} was published, and the journal has {}",
                saved.generation
            )
        });
        let found = saved.live.as_ref().map(|live| live.id.as_str().to_owned());
        let open = orders
            .orders
            .values()
            .filter(|order| !order.refused && order.receipt.is_none());
        let mut open = open.map(|order| (order.to.clone(), order.rollback));
        let may_be =
            found == live || open.any(|(to, rollback)| rollback || to.is_some() && to == found);
        book.must(may_be, || {
            format!("I10: {live:?} was published, and the journal has {found:?}")
        });
        if let (Some(blocked), false) = (orders.blocked, orders.block_open) {
            let is = saved.blocked.is_some();
            book.must(blocked == is, || {
                format!("I5: blocked was answered {blocked}, and is {is}")
            });
        }
        // From now on it is as the journal has it.
        orders.blocked = Some(saved.blocked.is_some());
        orders.block_open = false;
    }

    /// Each receipt that was told stands, and what was under way has got one.
    pub(crate) fn must_have_receipts(&self, shared: &Shared, receipts: &[Receipt]) {
        let mut orders = self.0.borrow_mut();
        for (id, order) in &mut orders.orders {
            let known = receipts
                .iter()
                .filter(|receipt| receipt.operation.as_str() == id);
            let known: Vec<_> = known.collect();
            let told = order.receipt.as_ref().map(|receipt| receipt.outcome);
            // Why something was not done may be that nothing could be written: then a restart may have other words for it.
            let stands = |told| {
                known
                    .iter()
                    .any(|receipt| receipt.outcome == told || told != Outcome::Done)
            };
            shared.must(told.is_none_or(stands), || {
                format!("I5: {id} ended {told:?}, and the receipts say {known:?}")
            });
            shared.must(known.len() <= 1, || {
                format!("{id} has {} receipts", known.len())
            });
        }
    }
}

impl Orders {
    fn note_failed(&mut self, shared: &Shared, stays: bool, id: &str) {
        // Another one may have swapped to it meanwhile; there is one at a time, so only if it came after.
        let later = self.orders.range(id.to_owned()..).count() > 1;
        shared.must(stays || later, || {
            format!("I5: {id} failed, and yet its release serves")
        });
    }
}
