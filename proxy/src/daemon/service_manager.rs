//! What a service manager such as systemd hears of us (sd_notify(3)), where there is one.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::plane::Plane;

/// A manager that does not listen keeps us no longer.
const HEARD_MAX: Duration = Duration::from_millis(100);
/// So soon it is told again what it has not heard.
const AGAIN: Duration = Duration::from_secs(1);
/// So often in the time that it waits for a sign of life.
const BEATS: u32 = 4;

/// Opened once: there may be no file left when it is needed.
static EAR: OnceLock<Option<UnixDatagram>> = OnceLock::new();

fn ear() -> Option<&'static UnixDatagram> {
    let open = || {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let opened = connect(&name);
        opened
            .inspect_err(
                |error| tracing::warn!(%error, "the service manager cannot be told anything"),
            )
            .ok()
    };
    EAR.get_or_init(open).as_ref()
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(HEARD_MAX))?;
    socket.connect_addr(&address?)?;
    Ok(socket)
}

/// Says so. Whether it was heard, or nobody listens at all.
pub(super) fn tell(state: &NotifyState<'_>) -> bool {
    let Some(ear) = ear() else {
        return true;
    };
    let told = ear.send(state.to_string().as_bytes());
    if let Err(error) = &told {
        tracing::warn!(%error, "the service manager does not hear {state}");
    }
    told.is_ok()
}

/// Says it until it is heard.
pub(super) async fn tell_surely(state: &NotifyState<'_>) {
    while !tell(state) {
        sleep(AGAIN).await;
    }
}

/// Ends and starts us anew if we hang (sd_watchdog_enabled(3)): it hears of us, some times in the time that it waits, as long
/// as every worker goes round. Returns at once where nobody asks for it.
pub(super) async fn keep_informed(plane: Arc<Plane>) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    let beat = patience / BEATS;
    loop {
        let next = Instant::now() + beat;
        let mut pulse = Box::pin(plane.pulse());
        if timeout(patience, &mut pulse).await.is_err() {
            tracing::error!("a worker has done nothing for {patience:?}");
            // If it goes on, that is in time for a manager that has not noticed.
            pulse.await;
        }
        tell(&NotifyState::Watchdog);
        sleep_until(next).await;
    }
}
