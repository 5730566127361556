//! What must hold whatever octets come: one function for each target of `fuzz`. The tests here say to the same functions
//! what fuzzing has kept. In no other build.

#[path = "../../fuzz/shared/by_hand.rs"]
pub(crate) mod by_hand;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;

pub use crate::api::fuzzing::control;
pub use crate::journal::fuzzing::journal;

#[cfg(test)]
mod tests {
    use super::replay;

    const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");

    #[test]
    fn a_journal_is_refused_or_what_stands_in_it_stands_for_ever() {
        replay::all(FUZZ, "journal", super::journal);
    }

    #[test]
    fn whatever_is_said_to_the_socket_has_a_sound_answer() {
        replay::all(FUZZ, "control", super::control);
    }
}
