//! HTTP/2 in the clear, for proxies that speak it to origins and for the floor; and TLS, for the floor alone.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::certificate::Certificate;
use super::super::wire::{Reader, Side};

/// At once on a connection: proxies may bring those of many clients together.
const STREAMS: u32 = 1_000;

pub(super) fn serve(
    http2: std::net::TcpListener,
    tls: std::net::TcpListener,
    certificate: &Certificate,
) -> io::Result<()> {
    let acceptor = acceptor(certificate)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (http2, tls) = (TcpListener::from_std(http2)?, TcpListener::from_std(tls)?);
        loop {
            tokio::select! {
                Ok((stream, _)) = http2.accept() => {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(speak_http2(stream));
                }
                Ok((stream, _)) = tls.accept() => {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(speak_tls(stream, acceptor.clone()));
                }
            }
        }
    })
}

fn acceptor(certificate: &Certificate) -> io::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&certificate.certificate);
    let chain: Result<Vec<_>, _> = chain.map_err(io::Error::other)?.collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?;
    let config = config.with_no_client_auth();
    let config = config.with_single_cert(chain.map_err(io::Error::other)?, key);
    let mut config = config.map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The connection's end is nobody's trouble: who asked will say so.
async fn speak_http2(stream: TcpStream) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    while let Some(Ok((request, mut answers))) = connection.accept().await {
        let octets = super::octets_of(request.uri().path());
        let answer = Response::builder()
            .header("server", "origin")
            .header("date", "Sat, 21 Nov 2026 12:00:00 GMT")
            .header("content-type", "application/octet-stream")
            .header("content-length", octets)
            .header("cache-control", "private, max-age=0")
            .header("etag", "\"5e1f-1b2c3d4e5f\"")
            .header("vary", "accept-encoding");
        let Ok(answer) = answer.body(()) else { return };
        if let Ok(mut body) = answers.send_response(answer, false) {
            let _ = body.send_data(Bytes::from(vec![b'x'; octets]), true);
        }
    }
}

async fn speak_tls(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut buffer = vec![0; 16 * 1024];
    let mut reader = Reader::new(Side::Requests);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let (_, whole) = reader.read(&buffer[..read]).map_err(io::Error::other)?;
        let Some(head) = whole else { continue };
        let answer = super::answer(super::octets_of(&head.target));
        stream.write_all(&answer).await?;
        stream.flush().await?;
        if head.closes {
            return stream.shutdown().await;
        }
    }
}
