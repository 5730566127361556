//! What a service manager is told (sd_notify): the socket in `NOTIFY_SOCKET` hears it, and from whom.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt::set_socket_passcred,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::app::App;
use crate::daemon::{Daemon, NOTIFY};

/// Longer than anything here takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

struct Manager(UnixDatagram);

impl Manager {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        set_socket_passcred(&socket, true).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self(socket)
    }

    /// The next message, and the process that sent it.
    fn hears(&self) -> (String, u64) {
        let mut octets = [0; 512];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut octets)];
        let received = recvmsg(&self.0, &mut into, &mut control, RecvFlags::empty()).unwrap();
        let from = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(from) => Some(from.pid.as_raw_pid()),
            _ => None,
        });
        let said = String::from_utf8_lossy(&octets[..received.bytes]);
        let pid = u64::try_from(from.unwrap()).unwrap();
        (said.trim_end().to_owned(), pid)
    }
}

async fn pid(daemon: &Daemon) -> u64 {
    let (_, status) = daemon.say("GET", "/v1/status", Value::Null).await;
    status["pid"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_who_serves_and_by_whom_it_believes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::listen(&path);
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let notify = format!("{NOTIFY}{}", path.display());
    let mut daemon = Daemon::start(&[&upstream, &notify], "").await;
    let first = pid(&daemon).await;
    assert_eq!(manager.hears(), ("READY=1".to_owned(), first));

    let (status, upgraded) = daemon.say("POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 200, "{upgraded}");
    let second = upgraded["pid"].as_u64().unwrap();
    daemon.succeeded_by(second);
    // A manager that believes the main process only leaves this one out.
    assert_eq!(manager.hears(), ("READY=1".to_owned(), second));
    let announced = format!("MAINPID={second}");
    assert_eq!(manager.hears(), (announced, first));
    daemon.predecessor_ended().await;

    crate::daemon::signal(second, Signal::TERM);
    assert_eq!(manager.hears(), ("STOPPING=1".to_owned(), second));
}
