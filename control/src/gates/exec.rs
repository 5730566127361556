//! A command of the shell, with the rights of who asked for it: exit status 0 is a yes. It is in a process group of its
//! own, which ends with it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use swap_core::duration;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

use super::{About, Answer};
use crate::users;

/// How long it may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
/// How long words of it are waited for when it has ended and another process still has its pipe.
const WORDS_TIME_MAX: Duration = Duration::from_millis(100);
/// So much of what it says last is kept.
const WORDS_BYTES_MAX: usize = 4 << 10;
/// What it finds by name. Nothing of the daemon's own surroundings is its business.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) async fn ask(command: &str, uid: u32, about: &About) -> Answer {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .env_clear()
        .env("PATH", SEARCH)
        .env("HOLDFAST_APP", about.app.as_str())
        .env("HOLDFAST_RELEASE", about.release.as_str())
        .env("HOLDFAST_SHARE", about.share.to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    if uid != rustix::process::geteuid().as_raw() {
        // Other groups are given up with it (std's Command does that for root).
        shell.gid(users::gid_of(uid)).uid(uid);
    }
    let not_run = |error: io::Error| Answer::Unclear(format!("it cannot be run: {error}"));
    let mut child = match shell.spawn() {
        Ok(child) => child,
        Err(error) => return not_run(error),
    };
    let _group = Group::of(child.id());
    let mut words = Words::default();
    let ending = async {
        let stderr = child.stderr.take();
        tokio::select! {
            biased;
            status = child.wait() => status,
            // It has closed it, and goes on.
            () = words.read(stderr) => child.wait().await,
        }
    };
    match timeout(COMMAND_TIME_MAX, ending).await {
        Err(_) => {
            let limit = duration::text(COMMAND_TIME_MAX);
            Answer::Unclear(format!("it has not ended within {limit}"))
        }
        Ok(Err(error)) => not_run(error),
        Ok(Ok(status)) if status.success() => Answer::Yes,
        // Whoever was killed has not said no.
        Ok(Ok(status)) if status.code().is_none() => Answer::Unclear(ended(status)),
        Ok(Ok(status)) => {
            let _ = timeout(WORDS_TIME_MAX, words.rest()).await;
            Answer::No(format!("{}{}", ended(status), words.last_line()))
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The command and all that it has started. They end with this.
struct Group(Option<Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        let id = id.and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Nobody is left, if all went well.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// What it has said, as far back as is kept.
#[derive(Default)]
struct Words {
    from: Option<ChildStderr>,
    said: Vec<u8>,
}

impl Words {
    /// Reads to the end. What was read so far is kept if this is not waited for.
    async fn read(&mut self, from: Option<ChildStderr>) {
        self.from = from;
        self.rest().await;
    }

    async fn rest(&mut self) {
        let Some(from) = &mut self.from else {
            return;
        };
        let mut octets = [0; 1024];
        while let Ok(length @ 1..) = from.read(&mut octets).await {
            self.said.extend_from_slice(&octets[..length]);
            let excess = self.said.len().saturating_sub(WORDS_BYTES_MAX);
            self.said.drain(..excess);
        }
        self.from = None;
    }

    fn last_line(&self) -> String {
        let said = String::from_utf8_lossy(&self.said);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        last.map_or(String::new(), |line| {
            format!(": {}", line.chars().take(200).collect::<String>())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn say(command: &str) -> Answer {
        let about = About {
            app: "web".parse().unwrap(),
            release: "9f3c1a2".parse().unwrap(),
            share: "0.5".parse().unwrap(),
        };
        ask(command, rustix::process::geteuid().as_raw(), &about).await
    }

    #[tokio::test]
    async fn its_exit_status_and_its_last_words_are_the_answer() {
        assert_eq!(say("true").await, Answer::Yes);
        let no = |why: &str| Answer::No(why.to_owned());
        assert_eq!(say("exit 3").await, no("exit status 3"));
        let words = "echo first >&2; echo 'orders fell to 2' >&2; exit 1";
        assert_eq!(say(words).await, no("exit status 1: orders fell to 2"));
        let killed = Answer::Unclear("killed by signal 9".to_owned());
        assert_eq!(say("kill -KILL $$").await, killed);
    }

    #[tokio::test]
    async fn it_knows_what_it_is_asked_about_and_nothing_else_of_the_daemon() {
        let told = "echo $HOLDFAST_APP $HOLDFAST_RELEASE $HOLDFAST_SHARE $(env | grep -c CARGO) >&2; exit 1";
        let why = "exit status 1: web 9f3c1a2 0.5 0".to_owned();
        assert_eq!(say(told).await, Answer::No(why));
    }

    #[tokio::test]
    async fn what_it_has_left_behind_ends_with_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        let command = format!("sleep 1000 & echo $! > {path}; exit 1");
        assert_eq!(say(&command).await, Answer::No("exit status 1".to_owned()));
        let pid = std::fs::read_to_string(file.path()).unwrap();
        let state = format!("/proc/{}/stat", pid.trim());
        // A zombie has ended too; whoever has to collect it may be slow.
        let has_ended = || match std::fs::read_to_string(&state) {
            Ok(stat) => stat
                .rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('Z')),
            Err(_) => true,
        };
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while !has_ended() {
            assert!(tokio::time::Instant::now() < end, "{pid} lives");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
