//! A tunnel: octets both ways between a client and the release that answered 101. It holds its lease until both sides
//! have ended, or the drain does.

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};

use crate::account::Account;
use crate::lease::Lease;
use crate::tls::Secured;

/// Octets copied at a time, each way.
const COPY_BYTES: usize = 16 * 1024;

/// A tunnel that begins when the 101 has been written.
pub(crate) struct Tunnel {
    pub(crate) upgrade: OnUpgrade,
    pub(crate) lease: Lease,
    pub(crate) account: Account,
}

impl Tunnel {
    /// Copies until the end. `front` are octets of the client that were read already.
    pub(crate) async fn run(self, mut client: Secured, front: Bytes) {
        let Self {
            upgrade,
            lease,
            account,
        } = self;
        let release = lease.release().clone();
        let copying = async move {
            let upgraded = upgrade.await.map_err(std::io::Error::other)?;
            let mut upstream = TokioIo::new(upgraded);
            upstream.write_all(&front).await?;
            copy_bidirectional_with_sizes(&mut client, &mut upstream, COPY_BYTES, COPY_BYTES).await
        };
        tokio::select! {
            ended = copying => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "tunnel ended");
                }
            }
            () = release.cut_tunnels.cancelled() => {}
        }
        drop((account, lease));
    }
}
