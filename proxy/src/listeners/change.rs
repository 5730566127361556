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
#[derive(Default)]
pub(crate) struct Change {
    /// All that will be open.
    open: Vec<(Listen, Arc<Open>)>,
    gone: Vec<Arc<Open>>,
    fronts: Vec<(Arc<Open>, Arc<Front>)>,
    rereads: Vec<Reread>,
    inlets: Vec<(OwnedPermit<Mail>, Vec<Inlet>)>,
}

/// What an address is to be.
enum Next {
    Known(Arc<Open>),
    New(Arc<Front>, Stop),
}

impl Listeners {
    /// What has to be done for `newer` to be in force in place of `older`.
    pub(crate) fn prepare(
        &self,
        older: &Settings,
        newer: &Settings,
        mail: &[Sender<Mail>],
    ) -> Result<Change, ListenError> {
        let mut change = Change::default();
        let rules = Rules::of(newer);
        let same_rules = rules == Rules::of(older);
        let mut known = self.now().clone();
        let mut next = Vec::new();
        for listen in &newer.listen {
            let at = known
                .iter()
                .position(|(known, _)| known.address == listen.address);
            next.push(match at.map(|at| known.remove(at)) {
                Some((was, open)) => {
                    let tls = open.tls().filter(|_| was.tls == listen.tls);
                    let stays = tls.is_some();
                    if was != *listen || !same_rules {
                        let front = self.front(listen, &rules, &open.stop, tls)?;
                        change.refuse_expired(&open, &front)?;
                        change.fronts.push((open.clone(), front));
                    }
                    if stays {
                        change.reread(&open)?;
                    }
                    Next::Known(open)
                }
                None => {
                    let stop = Stop::default();
                    Next::New(self.front(listen, &rules, &stop, None)?, stop)
                }
            });
        }
        change.gone = known.into_iter().map(|(_, open)| open).collect();
        if let Some(shared) = change.gone.iter().find(|open| open.listener.shared) {
            return Err(ListenError::Shared(shared.listener.asked));
        }
        // Last: whoever finds a socket that listens may connect to it.
        let mut new = Vec::new();
        for (listen, next) in newer.listen.iter().zip(next) {
            let open = match next {
                Next::Known(open) => open,
                Next::New(front, stop) => {
                    let listener = self.bind(listen.address, &change.open)?;
                    let open = Arc::new(Open::new(listener, front, stop));
                    new.push(open.clone());
                    open
                }
            };
            change.open.push((listen.clone(), open));
        }
        change.enter(&new, mail)?;
        Ok(change)
    }

    /// Does it. To be called on a runtime, where those that are gone are waited for.
    pub(crate) fn take_effect(&self, change: Change) {
        change.rereads.into_iter().for_each(Reread::take_effect);
        for (open, front) in change.fronts {
            open.front.send_replace(front);
        }
        for (permit, inlets) in change.inlets {
            permit.send(Mail::Listen(inlets));
        }
        for open in change.gone {
            self.closing().push(Arc::downgrade(&open));
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

    /// Other files take the place of those in use only if they serve for anything.
    fn refuse_expired(&self, open: &Open, front: &Front) -> Result<(), TlsError> {
        match (open.tls(), &front.tls) {
            (Some(before), Some(now)) => before.may_be_replaced(now),
            _ => Ok(()),
        }
    }

    /// Each worker has room for its sockets, and will have them.
    fn enter(&mut self, new: &[Arc<Open>], mail: &[Sender<Mail>]) -> Result<(), ListenError> {
        let mut shares: Vec<_> = mail.iter().map(|_| Vec::new()).collect();
        for open in new {
            let asked = open.listener.asked;
            let sharing = open.share_out(mail.len(), |worker, inlet| shares[worker].push(inlet));
            sharing.map_err(|error| ListenError::Failed(asked, error))?;
        }
        for (inlets, mail) in shares.into_iter().zip(mail) {
            if !inlets.is_empty() {
                let permit = mail.clone().try_reserve_owned();
                self.inlets
                    .push((permit.map_err(|_| ListenError::Busy)?, inlets));
            }
        }
        Ok(())
    }
}
