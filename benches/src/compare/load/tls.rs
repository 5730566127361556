//! HTTP/1.1 over TLS 1.3: connections that are kept, or a handshake for each request, whole or resumed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::wire::{Reader, Side};
use super::paced::{self, Client};
use super::{Manner, Outcome, Plan};
use crate::browser::COOKIE;

pub(super) fn run(plan: &Plan) -> io::Result<Outcome> {
    let handshakes = match plan.manner {
        Manner::TlsFull => Handshakes::Full,
        Manner::TlsResumed => Handshakes::Resumed,
        _ => Handshakes::Once,
    };
    let host = super::host(0);
    let mut clients = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        clients.push(TlsClient {
            target: plan.target,
            // A ticket serves once, so each client keeps its own.
            connector: connector(plan, handshakes)?,
            name: ServerName::try_from(host.clone()).map_err(io::Error::other)?,
            request: super::request(plan.ask, &host, plan.manner, COOKIE),
            handshakes,
            connected: false,
            stream: None,
            buffer: vec![0; 16 * 1024],
        });
    }
    paced::on_one_thread(paced::drive(plan, clients))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Handshakes {
    Once,
    Full,
    Resumed,
}

fn connector(plan: &Plan, handshakes: Handshakes) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&plan.certificate).map_err(io::Error::other)? {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    // The same for all: what one library offers and the other does not know is no difference between proxies.
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if handshakes == Handshakes::Full {
        config.resumption = Resumption::disabled();
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

struct TlsClient {
    target: SocketAddr,
    connector: TlsConnector,
    name: ServerName<'static>,
    request: Vec<u8>,
    handshakes: Handshakes,
    /// It was connected before, so it may resume.
    connected: bool,
    stream: Option<TlsStream<TcpStream>>,
    buffer: Vec<u8>,
}

impl Client for TlsClient {
    async fn ask(&mut self) -> Result<(), String> {
        let kept = self.stream.take();
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        self.exchange(&mut stream).await?;
        if self.handshakes == Handshakes::Once {
            self.stream = Some(stream);
        }
        Ok(())
    }
}

impl TlsClient {
    async fn connect(&mut self) -> Result<TlsStream<TcpStream>, String> {
        let tcp = TcpStream::connect(self.target).await;
        let tcp = tcp.map_err(|why| format!("no connection: {why}"))?;
        let _ = tcp.set_nodelay(true);
        let stream = self.connector.connect(self.name.clone(), tcp).await;
        let stream = stream.map_err(|why| format!("no handshake: {why}"))?;
        let kind = stream.get_ref().1.handshake_kind();
        let resumes = self.handshakes == Handshakes::Resumed && self.connected;
        if resumes && kind != Some(HandshakeKind::Resumed) {
            return Err(format!("not resumed but {kind:?}"));
        }
        self.connected = true;
        Ok(stream)
    }

    async fn exchange(&mut self, stream: &mut TlsStream<TcpStream>) -> Result<(), String> {
        let written = stream.write_all(&self.request).await;
        written.map_err(|why| format!("while writing: {why}"))?;
        let mut reader = Reader::new(Side::Answers);
        loop {
            let read = stream.read(&mut self.buffer).await;
            let read = read.map_err(|why| format!("while reading: {why}"))?;
            if read == 0 {
                return Err("closed before the answer was whole".to_owned());
            }
            let read = reader.read(&self.buffer[..read]);
            match read.map_err(|why| why.to_string())?.1 {
                None => {}
                Some(head) if head.status == 200 => return Ok(()),
                Some(head) => return Err(format!("status {}", head.status)),
            }
        }
    }
}
