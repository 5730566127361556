//! What a service manager such as systemd hears of us (sd_notify(3)), where there is one.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{sleep, timeout};

use crate::plane::Plane;

/// A manager that does not listen keeps us no longer.
const HEARD_MAX: Duration = Duration::from_millis(100);

/// Says so.
pub(super) fn tell(state: &NotifyState<'_>) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let telling = || {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(HEARD_MAX))?;
        socket.send_to_addr(state.to_string().as_bytes(), &address?)?;
        Ok(())
    };
    if let Err(error) = telling() {
        let error: io::Error = error;
        tracing::warn!(%error, "the service manager does not hear {state}");
    }
}

/// Ends and starts us anew if we hang (sd_watchdog_enabled(3)): it hears of us, twice in the time that it waits, as long as
/// every worker goes round. Returns at once where nobody asks for it.
pub(super) async fn keep_informed(plane: Arc<Plane>) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        match timeout(patience / 2, plane.pulse()).await {
            Ok(()) => tell(&NotifyState::Watchdog),
            Err(_) => tracing::error!("a worker has done nothing for {:?}", patience / 2),
        }
        sleep(patience / 2).await;
    }
}
