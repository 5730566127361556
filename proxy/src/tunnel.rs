//! A tunnel: octets both ways between a client and the release that answered 101. It holds its lease until both sides
//! have ended, or the drain does.

mod frames;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use crate::account::Account;
use crate::lease::Lease;
use crate::stop::Stop;
use frames::{Frames, GOING_AWAY};

/// Octets copied at a time, each way.
const COPY_BYTES: usize = 16 * 1024;
/// Over so long the ends of tunnels are spread when the daemon ends: whoever is cut comes back at once.
const STOPPING_SPREAD: Duration = Duration::from_secs(10);
/// A client that takes nothing is told nothing.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// A tunnel that begins when the 101 has been written.
pub(crate) struct Tunnel {
    pub(crate) upgrade: OnUpgrade,
    pub(crate) lease: Lease,
    pub(crate) account: Box<Account>,
    pub(crate) stop: Stop,
}

impl Tunnel {
    /// Copies until the end, and gives the client's side back to be closed. `front` are octets of the client that
    /// were read already.
    pub(crate) async fn run<C>(self, client: C, front: Bytes) -> C
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let Self {
            upgrade,
            lease,
            account,
            stop,
        } = self;
        let release = lease.release().clone();
        let (mut from_client, mut to_client) = split(client);
        let mut said = Frames::default();
        let copying = async {
            let (mut from_app, mut to_app) = split(upstream(upgrade).await?);
            to_app.write_all(&front).await?;
            let up = copy(&mut from_client, &mut to_app, |_| {});
            let down = copy(&mut from_app, &mut to_client, |octets| said.pass(octets));
            tokio::try_join!(up, down)
        };
        let cut = tokio::select! {
            ended = copying => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "tunnel ended");
                }
                false
            }
            () = release.tunnels_cut() => true,
            () = stop.idle_grace(STOPPING_SPREAD.mul_f64(fastrand::f64())) => true,
        };
        if cut && said.may_say() {
            let saying = to_client.write_all(&GOING_AWAY);
            let _ = tokio::time::timeout(FAREWELL_MAX, saying).await;
        }
        drop((account, lease));
        from_client.unsplit(to_client)
    }
}

async fn upstream(upgrade: OnUpgrade) -> io::Result<impl AsyncRead + AsyncWrite> {
    let upgraded = upgrade.await.map_err(io::Error::other)?;
    Ok(TokioIo::new(upgraded))
}

/// Copies to the end, and passes the end on. `passed` sees what has been written.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut passed: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut octets = vec![0; COPY_BYTES];
    loop {
        let len = from.read(&mut octets).await?;
        if len == 0 {
            return to.shutdown().await;
        }
        let mut rest = &octets[..len];
        while !rest.is_empty() {
            let written = to.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            passed(&rest[..written]);
            rest = &rest[written..];
        }
        to.flush().await?;
    }
}
