//! One run: the processes of the daemon one after the other, each with its drivers, gates, doors and pools, and what happens
//! to them, step by step, until everything comes to rest.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast::simulating::{Stage, runtime};
use holdfast_control::plane::{DataPlane, signals};
use holdfast_control::simulating::{Simulated, set_wall};
use simulation::dice::Dice;
use simulation::disk::{Disk, Operation, Rates};
use swap_core::AppName;
use tempfile::TempDir;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::book::{Broken, Shared};
use crate::client::Client;
use crate::instance::{INSTANCES, Instance, Manners, Mode};
use crate::orders::{Operator, SharedOrders};
use crate::plan::{Action, Plan, settings};
use crate::releases::Releases;
use crate::seam::{Mutant, Seam, report};
use crate::storage::Storage;
use crate::watch;

/// When everything is in order again, it comes to rest within so many seconds.
const REST_MAX_S: u64 = 200;
/// Workers of the data plane.
const WORKERS: usize = 2;

/// What became of a run.
pub(crate) struct Played {
    pub(crate) seed: u64,
    pub(crate) hash: u64,
    pub(crate) told: u64,
    pub(crate) steps: u64,
    pub(crate) virtual_ms: u64,
    pub(crate) tally: BTreeMap<String, u64>,
    pub(crate) states: Vec<u64>,
    pub(crate) broken: Option<Broken>,
    pub(crate) story: Vec<String>,
}

/// How a process of the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At rest, when the run was over.
    AtRest,
    Killed,
    PowerLost,
}

/// Everything that outlives the daemon.
struct World {
    dice: Dice,
    plan: Plan,
    shared: Shared,
    storage: Storage,
    instances: Vec<Rc<Instance>>,
    manners: Rc<Cell<Manners>>,
    releases: Arc<Releases>,
    orders: SharedOrders,
    settings: BTreeMap<AppName, holdfast_config::App>,
    mutant: Mutant,
    steps: u64,
    wall_ms: i64,
    /// The last process published what it could not journal when it began.
    unjournalled: bool,
}

/// Plays this seed.
pub(crate) fn play(seed: u64, steps: u64, mutant: Mutant) -> Played {
    let directory = directory();
    let mut world = World::new(seed, steps, mutant, directory.path());
    loop {
        fastrand::seed(world.dice.within(0..=u64::MAX));
        let runtime = runtime().expect("a runtime");
        let end = runtime.block_on(async {
            let end = world.live().await;
            world.shared.book().end_life();
            end
        });
        // Whatever the process had is gone.
        drop(runtime);
        let is_broken = world.shared.book().broken.is_some();
        match end {
            _ if is_broken => break,
            End::AtRest => break,
            End::Killed => {}
            End::PowerLost => world.storage.disk().lose_power(),
        }
    }
    world.told(seed)
}

/// Where the sockets of the app are: in memory if possible. Its name is always as long, because the journal's records, and
/// where they are torn, are as long as what is in them.
fn directory() -> TempDir {
    const LENGTH: usize = 48;
    const RANDOM: usize = 6;
    let within = |place: PathBuf| {
        let rest = LENGTH.saturating_sub(place.as_os_str().len() + RANDOM);
        let name = "simulation".chars().cycle().take(rest);
        let name: String = name.collect();
        let mut builder = tempfile::Builder::new();
        builder.prefix(&name).rand_bytes(RANDOM).tempdir_in(place)
    };
    within(PathBuf::from("/dev/shm"))
        .or_else(|_| within(env::temp_dir()))
        .expect("a directory")
}

impl World {
    fn new(seed: u64, steps: u64, mutant: Mutant, directory: &std::path::Path) -> Self {
        let dice = Dice::new(seed);
        let mut plan = Plan::draw(&dice);
        plan.disk.lies = mutant == Mutant::AnswersBeforeSync;
        plan.habits.put_is_post = mutant == Mutant::RetriesPosts;
        let shared = Shared::new();
        let manners = Rc::new(Cell::new(plan.manners));
        let instances =
            (0..INSTANCES).map(|number| Instance::new(number, directory, &shared, &dice, &manners));
        let instances: Vec<_> = instances.collect();
        let releases = Arc::new(Releases::draw(&dice, directory));
        for instance in &instances {
            instance.mode.set(if dice.often(700) {
                Mode::Up
            } else {
                Mode::Down
            });
        }
        let first = plan.first.map(|first| releases.release(first).clone());
        if let Some(first) = plan.first {
            releases
                .instances(first)
                .iter()
                .for_each(|at| instances[*at].mode.set(Mode::Up));
        }
        Self {
            storage: Storage::new(Disk::new(dice.clone())),
            settings: settings(&dice, first.as_ref()),
            orders: SharedOrders::default(),
            dice,
            plan,
            shared,
            instances,
            manners,
            releases,
            mutant,
            steps,
            wall_ms: 1_700_000_000_000,
            unjournalled: false,
        }
    }

    fn told(self, seed: u64) -> Played {
        let (done, failed) = {
            let disk = self.storage.disk();
            (disk.done.clone(), disk.failed.clone())
        };
        let book = self.shared.book();
        let mut tally = book.tally.clone();
        let counted = |what: &str, (operation, times): (Operation, u64)| {
            (format!("{what}: {operation:?}"), times)
        };
        tally.extend(done.into_iter().map(|done| counted("disk", done)));
        tally.extend(
            failed
                .into_iter()
                .map(|failed| counted("disk fails", failed)),
        );
        Played {
            seed,
            hash: book.trace.hash(),
            told: book.trace.told(),
            steps: book.step,
            virtual_ms: book.now_ms(),
            tally,
            states: book.states.iter().copied().collect(),
            broken: book.broken.clone(),
            story: book.trace.last().map(str::to_owned).collect(),
        }
    }

    /// One process of the daemon.
    async fn live(&mut self) -> End {
        self.shared.book().begin_life();
        self.shared.tell("the daemon begins", "");
        self.set_wall();
        self.instances.iter().for_each(Instance::begin);
        let (stage, reported) = Stage::new(WORKERS);
        let (signaller, signals) = signals();
        spawn_local(report(reported, signaller.clone(), self.shared.clone()));
        let seam: Arc<dyn DataPlane> = Arc::new(Seam {
            plane: stage.plane(),
            shared: self.shared.clone(),
            releases: self.releases.clone(),
            signaller,
            mutant: self.mutant,
            late: Mutex::default(),
        });
        stage.configure(&self.settings);
        let Some(simulated) = self.open(&seam) else {
            return End::AtRest;
        };
        let failures = self.failures();
        self.storage.disk().rates = self.plan.disk;
        let commander = simulated.start(self.settings.clone(), signals).await;
        self.unjournalled = self.failures() > failures;
        let (app, _) = self.settings.first_key_value().expect("an app");
        let operator = Operator {
            app: app.clone(),
            commander,
            shared: self.shared.clone(),
            dice: self.dice.clone(),
            releases: self.releases.clone(),
            orders: self.orders.clone(),
            storage: self.storage.clone(),
        };
        let life = Life {
            stage: Rc::new(stage),
            seam,
            operator,
        };
        while self.shared.book().step < self.steps {
            if let Some(end) = self.step(&life).await {
                return end;
            }
        }
        self.come_to_rest(&life).await
    }

    /// I10: whatever happened to it, the journal can be read, and says what was answered.
    fn open(&self, seam: &Arc<dyn DataPlane>) -> Option<Simulated> {
        self.storage.disk().rates = Rates {
            lies: self.plan.disk.lies,
            ..Rates::default()
        };
        let (dice, most) = (self.dice.clone(), self.plan.journal_ms);
        let latency = move || Duration::from_millis(dice.within(0..=most));
        match Simulated::open(self.storage.clone(), latency, seam.clone()) {
            Err(error) => {
                self.shared.must(false, || format!("I10: {error}"));
                None
            }
            Ok(simulated) => {
                let saved = simulated
                    .history()
                    .values()
                    .next()
                    .cloned()
                    .unwrap_or_default();
                if self.unjournalled {
                    // What could not be journalled serves all the same; only the number of its table is lost.
                    self.shared.book().gates.generation = saved.generation.0;
                }
                if saved.generation.0 > 0 || self.shared.book().gates.generation > 0 {
                    self.orders.must_be_in(&self.shared, &saved);
                }
                Some(simulated)
            }
        }
    }

    fn failures(&self) -> u64 {
        self.storage.disk().failed.values().sum()
    }

    /// One thing happens, then time goes on, then everything is looked at.
    async fn step(&mut self, life: &Life) -> Option<End> {
        self.shared.book().step += 1;
        let action = self
            .dice
            .weigh(&self.plan.actions)
            .unwrap_or(Action::Nothing);
        self.shared.tell(&format!("action: {action:?}"), "");
        if let Some(end) = self.act(action, life).await {
            return Some(end);
        }
        let long = self.dice.often(30);
        let most = if long { 25_000 } else { self.plan.pause_ms };
        let pause = Duration::from_millis(self.dice.within(0..=most));
        let power = self.storage.power.clone();
        tokio::select! {
            biased;
            () = power.notified() => {
                self.shared.tell("the power fails", "at an operation of the disk");
                return Some(End::PowerLost);
            }
            () = sleep(pause) => {}
        }
        watch::look(&self.shared, &life.seam, &self.settings);
        self.shared.book().broken.is_some().then_some(End::AtRest)
    }

    async fn act(&mut self, action: Action, life: &Life) -> Option<End> {
        match action {
            Action::Clients(count) => (0..count).for_each(|_| self.client(life)),
            Action::Say(verb) => drop(spawn_local(life.operator.clone().say(verb))),
            Action::Become(mode) => self.any_instance().change_to(mode),
            Action::Boot => self.boot(),
            Action::Kill => return Some(End::Killed),
            Action::PowerLoss => return Some(End::PowerLost),
            Action::Reload => self.reload(life).await,
            Action::ClockJumps => {
                self.wall_ms +=
                    i64::try_from(self.dice.within(0..=7_200_000)).unwrap_or(0) - 3_600_000;
                self.set_wall();
            }
            Action::FailedUpgrade => drop(spawn_local(failed_upgrade(life.operator.clone()))),
            Action::Nothing => {}
        }
        None
    }

    fn client(&self, life: &Life) {
        let client = Client {
            shared: self.shared.clone(),
            dice: self.dice.clone(),
            habits: self.plan.habits,
            releases: self.releases.clone(),
        };
        let worker = self.dice.within(0..=WORKERS as u64 - 1);
        spawn_local(client.run(life.stage.clone(), usize::try_from(worker).unwrap_or(0)));
    }

    fn any_instance(&self) -> &Rc<Instance> {
        self.dice.one_of(&self.instances).expect("instances")
    }

    fn boot(&self) {
        let (instance, after) = (self.any_instance().clone(), self.dice.within(0..=4000));
        instance.change_to(Mode::Booting);
        spawn_local(async move {
            sleep(Duration::from_millis(after)).await;
            if instance.mode.get() == Mode::Booting {
                instance.change_to(Mode::Up);
            }
        });
    }

    /// Other limits of time; what may be held stays as it is.
    async fn reload(&mut self, life: &Life) {
        let fresh = settings(&self.dice, None);
        for (app, fresh) in self.settings.values_mut().zip(fresh.into_values()) {
            app.timeouts = fresh.timeouts;
            app.hold.when_down = fresh.hold.when_down;
            app.probe.passes = fresh.probe.passes;
        }
        life.stage.configure(&self.settings);
        let (commander, settings) = (life.operator.commander.clone(), self.settings.clone());
        spawn_local(async move { commander.configure(settings).await });
    }

    fn set_wall(&self) {
        set_wall(self.wall_ms);
    }

    /// The trouble is over. I1, I6: everybody gets an answer, every hold ends, and nothing is left under way.
    async fn come_to_rest(&mut self, life: &Life) -> End {
        self.shared.tell("the trouble is over", "");
        self.storage.disk().rates = Rates {
            lies: self.plan.disk.lies,
            ..Rates::default()
        };
        self.manners.set(Manners::default());
        for instance in self
            .instances
            .iter()
            .filter(|instance| instance.mode.get() != Mode::Up)
        {
            instance.change_to(Mode::Up);
        }
        let mut left = String::new();
        for _ in 0..REST_MAX_S {
            if self.storage.disk().without_power {
                return End::PowerLost;
            }
            left = watch::left(&self.shared, &life.operator, &life.stage).await;
            if left.is_empty() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
            watch::look(&self.shared, &life.seam, &self.settings);
        }
        self.shared.must(left.is_empty(), || {
            format!("I6: not at rest after {REST_MAX_S} s: {left}")
        });
        let receipts = life.operator.commander.receipts().await;
        self.orders.must_have_receipts(&self.shared, &receipts);
        self.shared.tell("at rest", "");
        End::AtRest
    }
}

/// One process of the daemon, as it runs.
struct Life {
    stage: Rc<Stage>,
    seam: Arc<dyn DataPlane>,
    operator: Operator,
}

/// Another process is given the journal, and dies.
async fn failed_upgrade(operator: Operator) {
    let lent = operator.commander.lend().await;
    operator.shared.tell(
        if lent.is_ok() {
            "upgrade: begun"
        } else {
            "upgrade: refused"
        },
        "",
    );
    if lent.is_ok() {
        sleep(Duration::from_millis(operator.dice.within(0..=3000))).await;
        operator.commander.take_back().await;
        operator.shared.tell("upgrade: failed", "");
    }
}
