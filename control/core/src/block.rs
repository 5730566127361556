//! Block and unblock: promotes are refused meanwhile. Rollbacks and stages are not.

use crate::{Answer, Block, turn::Turn};

impl Turn {
    /// `swapctl block`. What is under way goes on.
    pub(crate) fn block(&mut self, block: Block) -> Answer {
        let said = format!("promotes are refused from now on: {}", block.reason);
        self.app.blocked = Some(block);
        Answer::Done(said)
    }

    /// `swapctl unblock`
    pub(crate) fn unblock(&mut self) -> Answer {
        let said = match self.app.blocked.take() {
            Some(block) => format!("promotes are allowed again (blocked by {})", block.by),
            None => "not blocked".to_owned(),
        };
        Answer::Done(said)
    }
}
