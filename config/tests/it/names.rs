//! Names of hosts, which the system's resolver is asked for.

use holdfast_config::{BadAddress, resolve_instance};
use swap_core::Address;

#[test]
fn a_name_is_looked_up() {
    let resolved = resolve_instance("localhost:3000").unwrap();
    let Address::Tcp(address) = resolved.address else {
        panic!("{resolved:?}");
    };
    assert!(address.ip().is_loopback() && address.port() == 3000);
}

#[test]
fn a_name_without_an_address_is_named() {
    let error = resolve_instance("no-such-host.invalid:3000").unwrap_err();
    assert!(matches!(&error, BadAddress::Lookup { name, .. } if name == "no-such-host.invalid"));
}
