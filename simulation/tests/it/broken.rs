//! Builds that are broken on purpose, at the seams: the checks have to find each of them out, for the right reason.

use crate::book::Broken;
use crate::run::play;
use crate::seam::Mutant;

/// Within so many seeds.
const SEEDS_MAX: u64 = 200;

/// Plays until it is noticed in these words. (What follows from it, such as that nothing comes to rest, may be noticed before.)
fn must_be_found_out(mutant: Mutant, words: &[&str]) {
    let is_it = |found: &str| words.iter().any(|word| found.contains(word));
    for seed in 0..SEEDS_MAX {
        let broken = play(seed, 50, mutant).broken;
        if let Some(Broken { step, words }) = broken.filter(|broken| is_it(&broken.words)) {
            println!("{mutant:?} is found out by seed {seed}, step {step}: {words}");
            return;
        }
    }
    panic!("{mutant:?} was not found out by {SEEDS_MAX} seeds");
}

#[test]
fn a_table_published_after_its_gate_was_closed_is_found_out() {
    must_be_found_out(
        Mutant::PublishAfterClose,
        &["was closed before it was replaced"],
    );
}

#[test]
fn a_gate_that_admits_after_it_was_closed_is_found_out() {
    must_be_found_out(Mutant::AdmitsAfterClose, &["I3: every gate"]);
}

#[test]
fn a_gate_that_is_called_empty_too_early_is_found_out() {
    must_be_found_out(Mutant::EmptyAtOnce, &["I9"]);
}

#[test]
fn a_door_that_is_never_opened_is_found_out() {
    must_be_found_out(Mutant::NeverReleases, &["I6"]);
}

#[test]
fn a_door_that_is_never_shut_is_found_out() {
    must_be_found_out(Mutant::NeverHolds, &["the door has been shut"]);
}

#[test]
fn losses_that_are_not_counted_are_found_out() {
    must_be_found_out(Mutant::CountsNoLoss, &["lost an answer, counted are 0"]);
}

#[test]
fn a_journal_that_answers_before_it_has_synced_is_found_out() {
    must_be_found_out(Mutant::AnswersBeforeSync, &["I8", "I10"]);
}

#[test]
fn a_request_that_is_not_idempotent_and_tried_again_is_found_out() {
    must_be_found_out(Mutant::RetriesPosts, &["I2"]);
}
