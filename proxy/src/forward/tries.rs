//! What comes of a try that has not been answered: another one, another instance, or the end. It is rare, and lies apart
//! from what each request does: the way of those who are answered stays short, in memory and in the processor's cache.

use std::pin::Pin;
use std::time::Duration;

use http::request::Parts;

use super::failure::{Failure, Refusal, loss_of, loss_of_error};
use super::spare::Spare;
use super::{Forward, Forwarded, takes_used};
use crate::account::Account;
use crate::clock;
use crate::counters::Loss;
use crate::exchange::Exchange;
use crate::policy;
use crate::upstream::{Checkout, ConnectError};

/// So often an app may refuse a request unread before that is its answer.
const REFUSALS_MAX: u32 = 3;

/// So many connects of one request may time out at an instance that takes others.
const FULL_MAX: u32 = 5;

/// What has been tried for one request.
pub(super) struct Tries {
    /// Instances that are not to be asked again.
    pub(super) tried: Vec<usize>,
    /// How the last try ended.
    pub(super) last: Loss,
    /// So often a connect timed out at an instance that took others.
    full: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            tried: Vec::new(),
            last: Loss::ConnectRefused,
            full: 0,
        }
    }
}

/// A try that was not answered.
pub(super) struct Failed {
    pub(super) how: Failure,
    pub(super) instance: usize,
    /// What it was sent on.
    pub(super) checkout: Checkout,
    pub(super) spare: Spare,
}

/// A connection that broke under a request.
struct Broken {
    instance: usize,
    how: Loss,
    /// Octets that are no answer are an answer that has begun.
    was_answer: bool,
}

/// What follows from it.
pub(super) enum Next {
    Again,
    /// Back to the door.
    TurnBack,
    End(Box<Forwarded>),
}

impl Next {
    fn end(forwarded: Forwarded) -> Self {
        Self::End(Box::new(forwarded))
    }
}

/// Boxed, as all that is rare: each request has room for it otherwise.
type Rare<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

impl Forward<'_> {
    /// A connection where none was idle. None: there is none to be had there now.
    pub(super) fn connect<'a>(
        &'a self,
        exchange: &'a Exchange,
        instance: usize,
        account: &'a mut Account,
        tries: &'a mut Tries,
    ) -> Rare<'a, Option<Checkout>> {
        Box::pin(async move {
            if let Some(back) = self.come_back(exchange, instance).await {
                return Some(back);
            }
            let began = clock::lately();
            match self.open(exchange, instance).await {
                Ok(fresh) => return Some(fresh),
                Err(ConnectError::TimedOut(_))
                    if tries.full < FULL_MAX && self.is_only_full(instance, began) =>
                {
                    tries.full += 1;
                }
                Err(error) => {
                    tries.last = self.not_connected(instance, &error);
                    tries.tried.push(instance);
                    account.stumbled(tries.last);
                }
            }
            None
        })
    }

    /// One that comes back, before another is opened.
    async fn come_back(&self, exchange: &Exchange, instance: usize) -> Option<Checkout> {
        // Who was held has had its turn: to wait would put it behind those that are let go after it.
        if !takes_used(exchange) || !exchange.held.is_zero() {
            return None;
        }
        let worker = &self.conn.worker;
        let back = worker.pool.come_back(&self.lease, instance, worker.index);
        back.await
    }

    async fn open(&self, exchange: &Exchange, instance: usize) -> Result<Checkout, ConnectError> {
        let mut fresh = self.fresh(instance).await?;
        let now = clock::now();
        // A release of held requests opens many at once. Kept, they would each take a thread of the app while it looks
        // for another request on them (Puma, gunicorn's gthread), and whoever comes later would wait behind that.
        fresh.once = !exchange.held.is_zero() && !exchange.facts.websocket && !fresh.is_shared();
        self.lease.instance(instance).reinstate(now);
        Ok(fresh)
    }

    async fn fresh(&self, instance: usize) -> Result<Checkout, ConnectError> {
        let worker = &self.conn.worker;
        let limit = self.app().settings.config.timeouts.connect;
        let connecting = worker
            .pool
            .connect(&self.lease, instance, limit, worker.index);
        connecting.await
    }

    /// What is to be done now. The exchange is whole again, unless this is the end.
    pub(super) fn recover<'a>(
        &'a self,
        failed: Failed,
        exchange: &'a mut Exchange,
        account: &'a mut Account,
        tries: &'a mut Tries,
    ) -> Rare<'a, Next> {
        Box::pin(async move {
            let Failed {
                how,
                instance,
                checkout,
                spare,
            } = failed;
            match how {
                Failure::Unsent(request) => {
                    let (head, body) = request.into_parts();
                    (exchange.head, exchange.body) = (head, body.into_unsent());
                    if checkout.fresh {
                        tries.tried.push(instance);
                    }
                    Next::Again
                }
                Failure::Refused(refusal) => self.refused(refusal, spare, exchange, account).await,
                Failure::TimedOut if self.conn.waits_for_client() => {
                    Next::end(Forwarded::Refused(policy::SLOW_BODY))
                }
                Failure::TimedOut => Next::end(Forwarded::Lost(Loss::UpstreamTimeout)),
                Failure::Broken(_) if self.conn.is_upload_broken() => {
                    Next::end(Forwarded::Refused(policy::BROKEN_BODY))
                }
                Failure::Broken(_) if self.lease.is_cut() => Next::end(Forwarded::Cut),
                Failure::Broken(error) => {
                    let broken = Broken {
                        instance,
                        how: loss_of_error(&error),
                        was_answer: error.is_parse(),
                    };
                    let head = spare.replay(&checkout);
                    self.once_more(broken, head, exchange, account, tries).await
                }
            }
        })
    }

    /// The app has not taken it up.
    async fn refused(
        &self,
        refusal: Refusal,
        spare: Spare,
        exchange: &mut Exchange,
        account: &mut Account,
    ) -> Next {
        exchange.refused += 1;
        if refusal == Refusal::Stream {
            account.stumbled(Loss::UpstreamReset);
        }
        let may = exchange.refused <= REFUSALS_MAX
            && (refusal == Refusal::GoingAway || account.spend_retry());
        let Some((head, body)) = spare.recover().await.filter(|_| may) else {
            return Next::end(Forwarded::Lost(Loss::UpstreamReset));
        };
        (exchange.head, exchange.body) = (head, body);
        Next::Again
    }

    /// Its connection broke after octets had left.
    async fn once_more(
        &self,
        broken: Broken,
        head: Option<Parts>,
        exchange: &mut Exchange,
        account: &mut Account,
        tries: &mut Tries,
    ) -> Next {
        let Broken {
            instance,
            how,
            was_answer,
        } = broken;
        match head {
            Some(head) if exchange.sent == 0 && !was_answer && account.spend_retry() => {
                tries.last = how;
                account.retried(how);
                exchange.head = head;
                exchange.sent += 1;
                if self.lease.is_beside() {
                    // The live release has not failed it yet.
                    Next::TurnBack
                } else {
                    Next::Again
                }
            }
            // Failed twice: it may go back to the door, but only if there is nobody to connect to.
            Some(head) if exchange.sent > 0 && !self.is_reachable(instance).await => {
                exchange.head = head;
                tries.tried.push(instance);
                Next::Again
            }
            _ => Next::end(Forwarded::Lost(how)),
        }
    }

    /// Whether the instance takes a connect now.
    async fn is_reachable(&self, instance: usize) -> bool {
        let began = clock::lately();
        match self.fresh(instance).await {
            Ok(fresh) => {
                fresh.put_back(&self.lease);
                true
            }
            Err(ConnectError::TimedOut(_)) if self.is_only_full(instance, began) => true,
            Err(error) => {
                self.not_connected(instance, &error);
                false
            }
        }
    }

    /// Whether others were connected to it meanwhile: then it is not down. More came than may wait to be accepted, and the
    /// kernel lets the rest ask again.
    fn is_only_full(&self, instance: usize, since: Duration) -> bool {
        self.lease.instance(instance).has_taken_one_since(since)
    }

    fn not_connected(&self, instance: usize, error: &ConnectError) -> Loss {
        let instance = self.lease.instance(instance);
        instance.eject(clock::now());
        tracing::debug!(app = %self.app().name, instance = %instance.address, %error, "not connected");
        loss_of(error)
    }
}
