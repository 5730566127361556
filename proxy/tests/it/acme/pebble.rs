//! A real ACME authority, pebble, with a name server of its own (both of Debian's package `pebble`), and a daemon that
//! asks it for certificates.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{PATIENCE, until};
use crate::tls::{Authority, shake_over, shown};

/// The name of every test, which leads to this machine.
pub(super) const NAME: &str = "shop.test";

/// An authority and the ports at which it asks. Dropping it ends it.
pub(super) struct Pebble {
    /// Who signs the certificate of its own server.
    pub(super) private: Authority,
    /// Where it asks for http-01, and where for tls-alpn-01.
    pub(super) http: u16,
    pub(super) https: u16,
    api: u16,
    management: u16,
    names: u16,
    children: Vec<Child>,
}

/// Whether it is installed; where no test may be left out, it has to be.
pub(super) fn is_there() -> bool {
    let none_may_miss = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|path| path.join("pebble").is_file());
    if !found && !none_may_miss {
        eprintln!("skipped: pebble is not installed");
    }
    found || none_may_miss
}

/// A port that nobody has at the moment.
pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Pebble {
    /// Everything about it is known, but it does not run.
    pub(super) fn down() -> Self {
        let private = Authority::new();
        private.issue("pebble", "localhost");
        Self {
            private,
            http: free_port(),
            https: free_port(),
            api: free_port(),
            management: free_port(),
            names: free_port(),
            children: Vec::new(),
        }
    }

    /// Its certificates are good for so many seconds.
    pub(super) async fn up(seconds: u32) -> Self {
        let mut pebble = Self::down();
        pebble.start(seconds).await;
        pebble
    }

    pub(super) async fn start(&mut self, seconds: u32) {
        let Self {
            private,
            http,
            https,
            api,
            management,
            names,
            ..
        } = self;
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{api}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": private.file("pebble", "pem"),
            "privateKey": private.file("pebble", "key"),
            "httpPort": http,
            "tlsPort": https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": seconds,
        }});
        let file = private.file("pebble", "json");
        fs::write(&file, config.to_string()).unwrap();
        let names = format!("127.0.0.1:{names}");
        let resolver = Command::new("pebble-challtestsrv")
            .args(["-defaultIPv6", "", "-http01", "", "-https01", ""])
            .args(["-tlsalpn01", "", "-management", "", "-dns01", &names])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.children.push(resolver.unwrap());
        let pebble = Command::new("pebble")
            .args(["-dnsserver", &names, "-config"])
            .arg(file)
            // Proofs are asked for at once, and for every order.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            // It refuses one sound nonce in twenty else, and now and then several in a row, which is a failure.
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.children.push(pebble.unwrap());
        for port in [self.api, self.management] {
            until("pebble listens", async || {
                TcpStream::connect(("127.0.0.1", port)).await.is_ok()
            })
            .await;
        }
    }

    pub(super) fn stop(&mut self) {
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The configuration of a daemon: `plain` stands under the listener for http-01, `more` within the other's `tls`.
    pub(super) fn config(&self, challenge: &str, plain: &str, more: &str) -> String {
        let Self {
            http, https, api, ..
        } = self;
        let root = self.private.file("ca", "pem");
        format!(
            "[acme]\nagree = true\ndirectory = \"https://localhost:{api}/dir\"\nroot = {root:?}\n\
             challenge = \"{challenge}\"\ncontact = [\"mailto:ops@shop.test\"]\n\
             [[listen]]\naddress = \"127.0.0.1:{http}\"\n{plain}\n\
             [[listen]]\naddress = \"127.0.0.1:{https}\"\ntls = {{ acme = [\"{NAME}\"]{more} }}\n\
             [app.default]\n"
        )
    }

    /// Who signs what it gives: made anew at each start.
    pub(super) async fn root(&self) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.management)).await;
        let client = self.private.client(None);
        let stream = shake_over(stream.unwrap(), client, "localhost").await;
        let mut stream = stream.unwrap();
        let request = "GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Some servers end the connection without an alert.
        let reading = stream.read_to_string(&mut answer);
        let _ = tokio::time::timeout(PATIENCE, reading).await.unwrap();
        let begin = answer.find("-----BEGIN");
        answer.split_off(begin.unwrap_or_else(|| panic!("{answer}")))
    }

    /// A connection to the daemon by who trusts this authority, and shows the certificate `shows` of the private one.
    pub(super) async fn secure(
        &self,
        shows: Option<&str>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.secure_by(&self.root().await, shows).await
    }

    /// The same with what signed its certificates at another time.
    pub(super) async fn secure_by(
        &self,
        root: &str,
        shows: Option<&str>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let client = self.private.client_of(root, shows);
        let stream = TcpStream::connect(("127.0.0.1", self.https)).await?;
        shake_over(stream, client, NAME).await
    }

    /// What clients are shown, once that is a certificate of this authority.
    pub(super) async fn shown(&self) -> Option<CertificateDer<'static>> {
        self.secure(None).await.ok().map(|stream| shown(&stream))
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}
