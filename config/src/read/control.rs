//! `[control]`

use super::server::absolute;
use crate::Control;
use crate::address::SOCKET_PATH_MAX;
use crate::table::Table;
use crate::value::Value;

/// So many users may be named.
const USERS_MAX: usize = 64;
/// The longest name of a user, as `useradd` has it.
const USER_NAME_MAX: usize = 32;
const MODE: u32 = 0o600;

pub(super) fn read(mut table: Table<'_>) -> Control {
    let socket = table.value("socket", r#""/run/holdfast/control.sock""#);
    let mode = table.value("mode", r#""0600""#);
    let users = table.value("users", r#"["deploy"]"#).items(USERS_MAX);
    let control = Control {
        socket: socket.parsed(|text| absolute(text, SOCKET_PATH_MAX)),
        mode: mode.parsed(mode_of).unwrap_or(MODE),
        users: users.into_iter().filter_map(user).collect(),
    };
    table.end();
    control
}

fn mode_of(text: &str) -> Result<u32, &'static str> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    match mode {
        None => Err("permission bits are three or four octal digits in quotes"),
        Some(mode) if mode & !0o666 != 0 => Err("a socket has only read and write bits"),
        Some(mode) if mode & 0o600 != 0o600 => Err("the daemon's own user has to read and write"),
        Some(mode) => Ok(mode),
    }
}

fn user(value: Value<'_>) -> Option<String> {
    let name = value.text()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let sound = (1..=USER_NAME_MAX).contains(&name.len()) && name.bytes().all(allowed);
    if sound {
        Some(name.to_owned())
    } else {
        value.wrong("is a user's name or number: 1 to 32 letters, digits, `_`, `-` or `.`")
    }
}
