//! What the simulation has found once, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast::simulating::{Stage, runtime};
use holdfast_config::App;
use holdfast_control::simulating::{Commander, Said, Simulated};
use holdfast_control::wire::{Operation, Receipt};
use simulation::dice::Dice;
use simulation::disk::{Disk, Rates};
use swap_core::{
    Address, AppName, Block, Event, HoldCommand, Methods, OperationId, Outcome, Release,
};

use crate::plan::settings;
use crate::storage::Storage;

/// A daemon begins, with its journal on this disk.
async fn begin(storage: &Storage, apps: &BTreeMap<AppName, App>) -> (Stage, Commander) {
    let (stage, signals) = Stage::new(1);
    stage.configure(apps);
    let latency = || Duration::from_millis(5);
    let simulated = Simulated::open(storage.clone(), latency, stage.plane()).unwrap();
    let commander = simulated.start(apps.clone(), signals).await;
    (stage, commander)
}

async fn end_of(said: Said) -> Receipt {
    let Said::Operation(mut state) = said else {
        panic!("no operation: {said:?}");
    };
    let ended = state.wait_for(|state| matches!(state, Operation::Ended { .. }));
    let ended = ended.await.unwrap().clone();
    let Operation::Ended { receipt } = ended else {
        unreachable!("it has ended");
    };
    receipt
}

fn hold(operation: &OperationId) -> Event {
    Event::Hold(HoldCommand {
        operation: operation.clone(),
        methods: Methods::ALL,
        timeout: None,
        reason: None,
        by: "uid 0".to_owned(),
    })
}

#[test]
fn a_receipt_that_could_not_be_journalled_outlives_the_daemon_with_the_next_record() {
    let storage = Storage::new(Disk::new(Dice::new(1)));
    let live = Release {
        id: "r0".parse().unwrap(),
        instances: vec![Address::Unix("/nowhere".into())],
    };
    let apps = settings(&Dice::new(1), Some(&live));
    let web: AppName = "web".parse().unwrap();
    let operation: OperationId = "o1".parse().unwrap();

    runtime().unwrap().block_on(async {
        let (_stage, commander) = begin(&storage, &apps).await;
        let said = commander
            .command(&web, hold(&operation), "hold", None)
            .await;
        storage.disk().rates.write = 1000;
        let receipt = end_of(said.unwrap()).await;
        assert_eq!(receipt.outcome, Outcome::Failed, "{receipt:?}");
        storage.disk().rates = Rates::default();
        let block = Event::Block(Block {
            reason: "a migration".to_owned(),
            by: "uid 0".to_owned(),
        });
        commander.command(&web, block, "block", None).await.unwrap();
    });
    storage.disk().lose_power();

    runtime().unwrap().block_on(async {
        let (_stage, commander) = begin(&storage, &apps).await;
        let receipts = commander.receipts().await;
        let known: Vec<_> = receipts.iter().map(|receipt| &receipt.operation).collect();
        assert_eq!(known, [&operation]);
    });
}
