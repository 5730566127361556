//! `[admin]`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::table::Table;
use crate::{Admin, Listen, resolve_listener};

/// `None` if the table is not there. Clients are served at `listeners`.
pub(super) fn read(mut table: Table<'_>, listeners: &[Listen]) -> Option<Admin> {
    let example = r#""127.0.0.1:9900""#;
    table.needs("listen", example);
    let value = table.value("listen", example);
    let listen = value.parsed(resolve_listener);
    if listen.is_some_and(|address| address.ip().is_unspecified()) {
        value.warn(
            "the admin listener has no access control, and this address is reachable from outside"
                .to_owned(),
            "127.0.0.1, or an address of a network that you trust",
        );
    }
    let shared = |address| listeners.iter().any(|listen| listen.address == address);
    if listen.is_some_and(|address| address.port() != 0 && shared(address)) {
        let _: Option<()> = value.wrong("is an address at which clients are served");
    }
    let admin = table.is_present().then(|| Admin {
        // Only reached with an error behind it when there is none.
        listen: listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
    });
    table.end();
    admin
}
