//! Who may command: root, the daemon's own user, and the users that the configuration names.

use std::fs;

/// The uids that may command.
#[derive(Clone, Debug)]
pub(crate) struct Users(Vec<u32>);

/// A user that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("control.users: there is no user {0:?} on this machine")]
pub struct UnknownUser(String);

impl Users {
    /// Looks the names up in `/etc/passwd`; a number is a uid.
    pub(crate) fn new(names: &[String]) -> Result<Self, UnknownUser> {
        let own = [0, rustix::process::geteuid().as_raw()];
        let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = names.iter().map(|name| {
            let uid = name.parse().ok().or_else(|| uid_of(&known, name));
            uid.ok_or_else(|| UnknownUser(name.clone()))
        });
        let uids: Vec<u32> = named.collect::<Result<_, _>>()?;
        Ok(Self(own.into_iter().chain(uids).collect()))
    }

    pub(crate) fn may_command(&self, uid: u32) -> bool {
        self.0.contains(&uid)
    }
}

fn uid_of(passwd: &str, name: &str) -> Option<u32> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// The group of a user, as `/etc/passwd` has it; else one that owns nothing.
pub(crate) fn gid_of(uid: u32) -> u32 {
    const NOGROUP: u32 = 65_534;
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_it = |line: &&str| line.split(':').nth(2) == Some(uid.to_string().as_str());
    let line = known.lines().find(is_it);
    let gid = line.and_then(|line| line.split(':').nth(3)?.parse().ok());
    gid.unwrap_or(NOGROUP)
}
