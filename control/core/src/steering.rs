//! A rollout, steered by hand: pause, resume, advance. (`abort` is beside the other aborts.)

use crate::{Answer, Refusal, rollout::Rollout, turn::Turn, work::Work};

impl Turn {
    /// `swapctl pause`
    pub(crate) fn pause(&mut self, by: &str) -> Result<Answer, Refusal> {
        let rollout = self.rollout()?;
        if let Some(paused) = &rollout.paused {
            let why = format!("it is paused already: {}", paused.why);
            return Err(Refusal::Pointless(why));
        }
        let share = rollout.going.share();
        self.steer(|rollout, turn| rollout.pause(format!("paused by {by}"), turn));
        Ok(Answer::Done(format!(
            "paused at {share} %: `resume` goes on, `advance` takes the next step, `abort` goes back"
        )))
    }

    /// `swapctl resume`, where a rollout is paused.
    pub(crate) fn resume_rollout(&mut self) -> Answer {
        self.steer(Rollout::resume);
        Answer::Done("the rollout goes on".to_owned())
    }

    /// `swapctl advance`
    pub(crate) fn advance(&mut self, by: &str) -> Result<Answer, Refusal> {
        let from = self.rollout()?.going.share();
        self.steer(Rollout::advance_by_hand);
        Ok(Answer::Done(match &self.app.work {
            Work::Rollout(rollout) => {
                let to = rollout.going.share();
                format!("from {from} % to {to} %, as {by} says")
            }
            _ => format!("from {from} % to the end, as {by} says"),
        }))
    }

    /// Whether a rollout waits for a person.
    pub(crate) fn is_paused(&self) -> bool {
        self.rollout().is_ok_and(|rollout| rollout.paused.is_some())
    }

    fn rollout(&self) -> Result<&Rollout, Refusal> {
        match &self.app.work {
            Work::Rollout(rollout) => Ok(rollout),
            _ => Err(Refusal::Pointless("no canary is under way".to_owned())),
        }
    }

    fn steer(&mut self, change: impl FnOnce(Box<Rollout>, &mut Self) -> Work) {
        self.work(|work, turn| match work {
            Work::Rollout(rollout) => change(rollout, turn),
            _ => work,
        });
    }
}
