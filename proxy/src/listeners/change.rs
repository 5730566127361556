//! From the listeners of one configuration to those of another: everything that can fail first, then all of it at once.

use std::sync::Arc;

use holdfast_config::{Listen, Settings};
use tokio::sync::mpsc::{OwnedPermit, Sender};

use super::{Inlet, ListenError, Listeners, Open, Rules};
use crate::listen::Front;
use crate::stop::Stop;
use crate::tls::{Reread, TlsError};
use crate::worker::Mail;

/// What is to be done: certificates are read, sockets bound, and nobody has noticed.
pub(crate) struct Change {
    /// All that will be open.
    open: Vec<(Listen, Arc<Open>)>,
    gone: Vec<Arc<Open>>,
    fronts: Vec<(Arc<Open>, Arc<Front>)>,
    rereads: Vec<Reread>,
    inlets: Vec<(OwnedPermit<Mail>, Inlet)>,
}

impl Listeners {
    /// What has to be done for `newer` to be in force in place of `older`.
    pub(crate) fn prepare(
        &self,
        older: &Settings,
        newer: &Settings,
        mail: &[Sender<Mail>],
    ) -> Result<Change, ListenError> {
        let mut change = Change {
            open: Vec::new(),
            gone: Vec::new(),
            fronts: Vec::new(),
            rereads: Vec::new(),
            inlets: Vec::new(),
        };
        let rules = Rules::of(newer);
        let same_rules = rules == Rules::of(older);
        let mut known = self.now().clone();
        for listen in &newer.listen {
            let at = known
                .iter()
                .position(|(known, _)| known.address == listen.address);
            let open = match at.map(|at| known.remove(at)) {
                Some((was, open)) if was == *listen && same_rules => {
                    change.reread(&open)?;
                    open
                }
                Some((was, open)) => {
                    let tls = open.tls().filter(|_| was.tls == listen.tls);
                    let front = self.front(listen, &rules, &open.stop, tls)?;
                    change.fronts.push((open.clone(), front));
                    if was.tls == listen.tls {
                        change.reread(&open)?;
                    }
                    open
                }
                None => {
                    let stop = Stop::default();
                    let front = self.front(listen, &rules, &stop, None)?;
                    let open = Open::new(self.bind(listen.address)?, front, stop);
                    change.enter(listen, &open, mail)?;
                    Arc::new(open)
                }
            };
            change.open.push((listen.clone(), open));
        }
        change.gone = known.into_iter().map(|(_, open)| open).collect();
        Ok(change)
    }

    /// Does it. To be called on a runtime, where those that are gone are waited for.
    pub(crate) fn take_effect(&self, change: Change) {
        change.rereads.into_iter().for_each(Reread::take_effect);
        for (open, front) in change.fronts {
            open.front.send_replace(front);
        }
        for (permit, inlet) in change.inlets {
            permit.send(Mail::Listen(inlet));
        }
        for open in change.gone {
            tokio::spawn(open.close());
        }
        *self.now() = change.open;
    }
}

impl Change {
    fn reread(&mut self, open: &Open) -> Result<(), TlsError> {
        let reread = open.tls().map(|tls| tls.look_again());
        self.rereads.extend(reread.transpose()?);
        Ok(())
    }

    /// Each worker has room for its sockets, and will have them.
    fn enter(
        &mut self,
        listen: &Listen,
        open: &Open,
        mail: &[Sender<Mail>],
    ) -> Result<(), ListenError> {
        let mut shared = Vec::new();
        let sharing = open.share_out(mail.len(), |worker, inlet| {
            shared.push((worker, inlet));
        });
        sharing.map_err(|error| ListenError::Failed(listen.address, error))?;
        for (worker, inlet) in shared {
            let permit = mail[worker].clone().try_reserve_owned();
            let permit = permit.map_err(|_| ListenError::Busy(listen.address))?;
            self.inlets.push((permit, inlet));
        }
        Ok(())
    }
}
