//! The same cases through nginx and HAProxy, as Debian has them, in plain configurations.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::client::PATIENCE;

/// Another proxy, running. Dropping it ends it.
pub(super) struct Neighbour {
    pub(super) address: SocketAddr,
    child: Child,
    _home: TempDir,
}

/// Those that can be had here; all of them where none may be left out.
pub(super) fn there() -> impl Iterator<Item = &'static str> {
    let none_may_miss = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
    ["nginx", "haproxy"].into_iter().filter(move |name| {
        let there = none_may_miss || Path::new("/usr/sbin").join(name).is_file();
        if !there {
            eprintln!("skipped: {name} is not installed");
        }
        there
    })
}

impl Neighbour {
    pub(super) async fn start(name: &str, upstream: SocketAddr) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let file = home.path().join("conf");
        let path = home.path().display();
        let text = match name {
            "nginx" => format!(
                "daemon off; worker_processes 1; pid {path}/pid; error_log {path}/log;\n\
                 events {{}}\n\
                 http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p;\n\
                 fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
                 upstream app {{ server {upstream}; keepalive 8; }}\n\
                 server {{ listen {address}; location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $http_host; }} }} }}\n"
            ),
            _ => format!(
                "defaults\n mode http\n timeout connect 2s\n timeout client 20s\n timeout server 20s\n\
                 frontend f\n bind {address}\n default_backend b\n\
                 backend b\n server s {upstream}\n"
            ),
        };
        fs::write(&file, text).unwrap();
        let flag = if name == "nginx" { "-c" } else { "-f" };
        let child = Command::new(Path::new("/usr/sbin").join(name))
            .arg(flag)
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "{name} does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await; // Asks again; ends by the deadline.
        }
        Self {
            address,
            child,
            _home: home,
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // nginx's worker ends with its master only if that may tell it.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
