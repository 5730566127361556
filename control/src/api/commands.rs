//! From what was asked to an event: names resolved, durations read, needed fields there.

use std::time::Duration;

use swap_core::{
    Address, Block, CanaryPlan, Event, HoldCommand, Methods, OperationId, Promote, Rollback, Stage,
};
#[cfg(not(any(test, fuzzing)))]
use tokio::net::lookup_host as look_up;
use tokio::time::timeout;
use ulid::Ulid;

use super::Addressed;
#[cfg(any(test, fuzzing))]
use super::fuzzing::look_up;
use super::read::{duration, words};
use crate::driver::Conditions;
use crate::problem::usage;
use crate::wire::{
    BlockRequest, HoldRequest, Problem, PromoteRequest, RollbackRequest, StageRequest,
    UnstageRequest,
};

/// How long a name may take to resolve.
const RESOLVE_MAX: Duration = Duration::from_secs(5);

/// So many instances may a release have.
const INSTANCES_MAX: usize = 100;

/// A command, and how its client wants to hear of it.
pub(super) struct Ask {
    pub(super) event: Event,
    pub(super) detach: bool,
    pub(super) command: bool,
}

pub(super) async fn promote(
    ask: PromoteRequest,
    canary: Option<CanaryPlan>,
    to: &Addressed,
) -> Result<Ask, Problem> {
    let PromoteRequest {
        release,
        instance,
        strategy,
        boot_timeout,
        drain_timeout,
        hold_timeout,
        if_current,
        steps: _,
        step_time: _,
        watch: _,
        on_fail: _,
        on_quiet: _,
        smoke: _,
        gate_exec: _,
        gate_prometheus: _,
        reason,
        operation,
        detach,
        command,
    } = ask;
    if command && strategy != swap_core::Strategy::Hold {
        return Err(usage("command: only with strategy hold"));
    }
    if command && detach {
        return Err(usage("command: not with detach"));
    }
    let event = Event::Promote(Promote {
        operation: chosen(operation, &to.conditions)?,
        release: needed("release", release)?,
        instances: resolve(&instance).await?,
        strategy,
        boot: duration("boot_timeout", boot_timeout.as_deref())?,
        drain: duration("drain_timeout", drain_timeout.as_deref())?,
        hold: duration("hold_timeout", hold_timeout.as_deref())?,
        if_current,
        if_generation: to.conditions.generation,
        command,
        canary,
        reason: words("reason", reason)?,
        by: to.by.clone(),
    });
    Ok(Ask {
        event,
        detach,
        command,
    })
}

pub(super) async fn stage(ask: StageRequest, to: &Addressed) -> Result<Event, Problem> {
    let StageRequest {
        release,
        instance,
        boot_timeout,
        operation,
    } = ask;
    let instances = resolve(&instance).await?;
    if instances.is_empty() {
        return Err(usage("instance: at least one is needed"));
    }
    Ok(Event::Stage(Stage {
        operation: chosen(operation, &to.conditions)?,
        release: needed("release", release)?,
        instances,
        boot: duration("boot_timeout", boot_timeout.as_deref())?,
        by: to.by.clone(),
    }))
}

pub(super) fn hold(ask: HoldRequest, to: &Addressed) -> Result<Event, Problem> {
    let HoldRequest {
        writes,
        methods,
        timeout,
        reason,
        operation,
    } = ask;
    let methods = match (writes, methods) {
        (true, Some(_)) => return Err(usage("methods: not together with writes")),
        (true, None) => Methods::WRITES,
        (false, Some(Methods::NONE)) => return Err(usage("methods: at least one is needed")),
        (false, Some(methods)) => methods,
        (false, None) => Methods::ALL,
    };
    Ok(Event::Hold(HoldCommand {
        operation: chosen(operation, &to.conditions)?,
        methods,
        timeout: duration("timeout", timeout.as_deref())?,
        reason: words("reason", reason)?,
        by: to.by.clone(),
    }))
}

pub(super) fn rollback(ask: RollbackRequest, to: &Addressed) -> Result<Ask, Problem> {
    let RollbackRequest {
        release,
        reason,
        operation,
        detach,
    } = ask;
    let event = Event::Rollback(Rollback {
        operation: chosen(operation, &to.conditions)?,
        release,
        if_generation: to.conditions.generation,
        reason: words("reason", reason)?,
        by: to.by.clone(),
    });
    Ok(Ask {
        event,
        detach,
        command: false,
    })
}

pub(super) fn unstage(ask: UnstageRequest) -> Result<Event, Problem> {
    let UnstageRequest { release } = ask;
    Ok(Event::Unstage {
        release: needed("release", release)?,
    })
}

pub(super) fn block(ask: BlockRequest, to: &Addressed) -> Result<Event, Problem> {
    let BlockRequest { reason } = ask;
    Ok(Event::Block(Block {
        reason: needed("reason", words("reason", reason)?)?,
        by: to.by.clone(),
    }))
}

pub(super) fn needed<T>(field: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| usage(format!("{field} is needed")))
}

/// `Idempotency-Key` and `operation` are one thing.
pub(super) fn chosen(
    operation: Option<OperationId>,
    conditions: &Conditions,
) -> Result<OperationId, Problem> {
    match (operation, &conditions.key) {
        (Some(operation), Some(key)) if operation != *key => Err(usage(format!(
            "operation: {operation} is not the Idempotency-Key {key}"
        ))),
        (Some(operation), _) => Ok(operation),
        (None, Some(key)) => Ok(key.clone()),
        (None, None) => Ok(made_up()),
    }
}

/// A ULID has 26 letters and digits, so it is an operation id.
fn made_up() -> OperationId {
    match Ulid::new().to_string().parse() {
        Ok(operation) => operation,
        Err(_) => unreachable!("a ULID is an operation id"),
    }
}

/// Addresses as they are now: whatever DNS says later, the data path never asks it.
async fn resolve(instances: &[String]) -> Result<Vec<Address>, Problem> {
    if instances.len() > INSTANCES_MAX {
        let count = instances.len();
        return Err(usage(format!(
            "instance: {count} are more than {INSTANCES_MAX}"
        )));
    }
    let mut addresses = Vec::new();
    for text in instances {
        let address = resolve_one(text).await?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

async fn resolve_one(text: &str) -> Result<Address, Problem> {
    let not_an_address = match text.parse::<Address>() {
        Ok(address) => return Ok(address),
        Err(error) => error,
    };
    let is_name = text.rsplit_once(':').is_some_and(|(host, port)| {
        let named = host.chars().any(|c| c.is_ascii_alphabetic()) && !host.contains([':', '/']);
        named && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if !is_name {
        return Err(usage(format!("instance: {not_an_address}")));
    }
    let wrong = |why: String| usage(format!("instance: {text:?} cannot be resolved: {why}"));
    match timeout(RESOLVE_MAX, look_up(text)).await {
        Err(_) => Err(wrong(format!("no answer within {RESOLVE_MAX:?}"))),
        Ok(Err(error)) => Err(wrong(error.to_string())),
        Ok(Ok(found)) => {
            // IPv4 first: what listens on a name's IPv6 address alone is rare.
            let mut found: Vec<_> = found.collect();
            found.sort_by_key(std::net::SocketAddr::is_ipv6);
            found
                .first()
                .copied()
                .map(Address::Tcp)
                .ok_or_else(|| wrong("no address".into()))
        }
    }
}
