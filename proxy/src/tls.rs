//! tls: a client's connection, made safe from listeners in between, or plain on purpose.
//!
//! Only here and below is rustls named. What a handshake needs is read from files once, checked whole, and replaced
//! whole: a reload that finds anything wrong changes nothing.

#[cfg(feature = "acme")]
mod authority;
mod certificates;
mod challenge;
mod issued;
mod outward;
mod randomness;
mod tickets;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use holdfast_config as config;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::challenges::Challenges;
use crate::io::write_slices;
use crate::plain::Plain;
#[cfg(feature = "acme")]
pub(crate) use authority::ToAuthority;
use certificates::{Certificates, authorities};
pub(crate) use certificates::{Expiry, TlsError};
#[cfg(feature = "acme")]
pub(crate) use challenge::NoProof;
pub(crate) use challenge::Proof;
pub(crate) use issued::Issued;
#[cfg(feature = "acme")]
pub(crate) use issued::{Certificate, NotOurs};
pub(crate) use outward::Outward;
use tickets::Tickets;
pub(crate) use tickets::{NoKey, TicketKeys, Told};

/// What HTTP/2 is called in a handshake (RFC 9113, 3.2).
const HTTP_2: &[u8] = b"h2";

/// The TLS of one listener.
pub(crate) struct Tls {
    settings: config::Tls,
    /// Where it listens, in words.
    listener: String,
    means: Means,
    /// Read once a handshake, written once a reload.
    now: RwLock<Ready>,
}

/// What the TLS of all listeners shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Means {
    /// What an ACME authority asks.
    pub(crate) challenges: Arc<Challenges>,
    /// What it has given.
    pub(crate) issued: Arc<Issued>,
    pub(crate) tickets: TicketKeys,
}

/// What handshakes use.
#[derive(Clone)]
struct Ready {
    config: Arc<ServerConfig>,
    expiries: Arc<Vec<Expiry>>,
}

impl Tls {
    /// Reads all files.
    pub(crate) fn open(
        settings: &config::Tls,
        listener: String,
        means: &Means,
    ) -> Result<Self, TlsError> {
        let now = RwLock::new(ready(settings, &listener, means)?);
        Ok(Self {
            settings: settings.clone(),
            listener,
            means: means.clone(),
            now,
        })
    }

    /// Reads all files again, for replacing what is in use.
    pub(crate) fn look_again(self: Arc<Self>) -> Result<Reread, TlsError> {
        let ready = ready(&self.settings, &self.listener, &self.means)?;
        self.refuse_expired(&self.settings, &ready)?;
        Ok(Reread { tls: self, ready })
    }

    /// By one that has other files.
    pub(crate) fn may_be_replaced(&self, by: &Self) -> Result<(), TlsError> {
        self.refuse_expired(&by.settings, &by.now())
    }

    /// What has expired does not take the place of what is in use. That stays, also if it has expired itself: clients are
    /// no better off if nothing else can be reloaded either.
    fn refuse_expired(&self, settings: &config::Tls, newer: &Ready) -> Result<(), TlsError> {
        let (before, now) = (self.now().expiries, SystemTime::now());
        // There is one for each of the files, in their order.
        let files = settings.certificates.iter();
        for (files, expiry) in files.zip(newer.expiries.iter()) {
            if expiry.at <= now && !before.contains(expiry) {
                let at = jiff::Timestamp::try_from(expiry.at).unwrap_or_default();
                let why = format!("it has expired, at {at}");
                return Err(TlsError::new(&files.certificate, why));
            }
        }
        Ok(())
    }

    /// Shakes hands, which may take so long. None: it was an authority with its question, which is answered.
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
        max: Duration,
    ) -> io::Result<Option<Secured>> {
        let config = self.now().config;
        let secured = if self.means.challenges.is_any() {
            let shaking = Box::pin(challenge::shake(stream, &self.means.challenges, config));
            tokio::time::timeout(max, shaking).await??
        } else {
            let shaking = TlsAcceptor::from(config).accept(stream);
            Some(tokio::time::timeout(max, shaking).await??)
        };
        Ok(secured.map(|stream| Secured::Tls(Box::new(stream))))
    }

    /// When each of its certificates ends.
    pub(crate) fn expiries(&self) -> Vec<Expiry> {
        let issued = self.settings.acme.iter();
        let issued = issued.filter_map(|name| self.means.issued.expiry(name));
        let in_files = self.now().expiries;
        in_files.iter().cloned().chain(issued).collect()
    }

    fn now(&self) -> Ready {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }
}

/// Files that were read again and are sound.
pub(crate) struct Reread {
    tls: Arc<Tls>,
    ready: Ready,
}

impl Reread {
    /// New handshakes use them; connections that exist go on.
    pub(crate) fn take_effect(self) {
        let mut now = self.tls.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = self.ready;
    }
}

fn ready(settings: &config::Tls, listener: &str, means: &Means) -> Result<Ready, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificates = Certificates::read(settings, &means.issued, &provider)?;
    let expiries = Arc::new(certificates.expiries());
    let mut config = server_config(settings, certificates, provider)?;
    let clients = settings.clients.as_ref();
    let clients = clients.map(|clients| (clients.ca.as_path(), clients.required));
    randomness::begin()?;
    means.tickets.begin()?;
    let tickets = Tickets::new(&means.tickets, listener, clients);
    config.ticketer = Arc::new(tickets?);
    Ok(Ready {
        config: Arc::new(config),
        expiries,
    })
}

fn server_config(
    settings: &config::Tls,
    certificates: Certificates,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let verifier = match &settings.clients {
        None => Arc::new(NoClientAuth),
        Some(clients) => {
            let roots = Arc::new(authorities(&clients.ca)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            if !clients.required {
                verifier = verifier.allow_unauthenticated();
            }
            let wrong = |error| TlsError::new(&clients.ca, format!("{error}"));
            verifier.build().map_err(wrong)?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::of_rustls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A client's connection as the rest of the way sees it.
pub(crate) enum Secured {
    Plain(Plain),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Secured {
    /// Whether client and listener have agreed on HTTP/2; none if they had nothing to agree on.
    pub(crate) fn agreed_on_http2(&self) -> Option<bool> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1.alpn_protocol() == Some(HTTP_2)),
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The socket below, to wait for it: never for octets.
    pub(crate) fn tcp(&mut self) -> io::Result<&TcpStream> {
        match self {
            Self::Plain(stream) => stream.watched().map(|stream| &*stream),
            Self::Tls(stream) => Ok(stream.get_ref().0),
        }
    }

    /// The same for what the kernel knows of it. None: it is lost.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(stream) => stream.descriptor(),
            Self::Tls(stream) => Some(stream.get_ref().0.as_fd()),
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => write_slices(Pin::new(stream), cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
