//! A rollout, steered by hand: pause, resume, advance. (`abort` is beside the other aborts.)

use crate::{
    Answer, Going, Refusal,
    rollout::{Rollout, Stage},
    turn::Turn,
    work::Work,
};

impl Turn {
    /// `swapctl pause`
    pub(crate) fn pause(&mut self, by: &str) -> Result<Answer, Refusal> {
        let going = &self.rollout()?.going;
        if let Some(why) = &going.paused {
            let why = format!("it is paused already: {why}");
            return Err(Refusal::Pointless(why));
        }
        let place = place(going);
        self.steer(|rollout, turn| rollout.pause(format!("paused by {by}"), turn));
        Ok(Answer::Done(format!(
            "paused at {place}: `resume` goes on, `advance` takes the next step, `abort` goes back"
        )))
    }

    /// `swapctl resume`, where a rollout is paused.
    pub(crate) fn resume_rollout(&mut self) -> Answer {
        self.steer(Rollout::resume);
        Answer::Done("the rollout goes on".to_owned())
    }

    /// `swapctl advance`
    pub(crate) fn advance(&mut self, by: &str) -> Result<Answer, Refusal> {
        let from = place(&self.rollout()?.going);
        self.steer(Rollout::advance_by_hand);
        let rollout = self.app.work.rollout();
        let to = rollout.map_or("the end".to_owned(), |rollout| place(&rollout.going));
        Ok(Answer::Done(format!("from {from} to {to}, as {by} says")))
    }

    /// Whether a rollout waits for a person.
    pub(crate) fn is_paused(&self) -> bool {
        self.app.work.rollout().is_some_and(Rollout::is_paused)
    }

    fn rollout(&self) -> Result<&Rollout, Refusal> {
        let none = || Refusal::Pointless("no canary is under way".to_owned());
        self.app.work.rollout().ok_or_else(none)
    }

    fn steer(&mut self, change: impl FnOnce(Box<Rollout>, &mut Self) -> Work) {
        self.work(|work, turn| match work {
            Work::Rollout(rollout) => change(rollout, turn),
            Work::Idle
            | Work::Staging(_)
            | Work::Booting(_)
            | Work::Withdrawing(_)
            | Work::Quieting(_)
            | Work::Commanding(_)
            | Work::HoldBooting(_)
            | Work::Returning(_)
            | Work::Reopening(_)
            | Work::Draining(_)
            | Work::HoldQuieting(_) => work,
        });
    }
}

/// Where a rollout stands, in words.
fn place(going: &Going) -> String {
    match going.stage {
        Stage::Smoking => "the smoke tests".to_owned(),
        Stage::Step(_) => format!("{} %", going.share()),
        Stage::SmokingAll => "the smoke tests at 100 %".to_owned(),
        Stage::Watching => "the watch".to_owned(),
    }
}
