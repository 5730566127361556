//! Octets from one side to the other, as the toxics want it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{End, Slicer, Toxics};

/// Octets that are taken at once.
const PIECE: usize = 16 << 10;

/// Returns when both have said all. An error means that both are to be reset.
pub(super) async fn both_ways(
    client: &mut TcpStream,
    server: &mut TcpStream,
    toxics: watch::Receiver<Toxics>,
) -> io::Result<()> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let asking = Pump {
        from: from_client,
        to: to_server,
        toxics: toxics.clone(),
        is_the_servers: false,
    };
    let answering = Pump {
        from: from_server,
        to: to_client,
        toxics,
        is_the_servers: true,
    };
    tokio::try_join!(asking.run(), answering.run()).map(drop)
}

/// One way.
struct Pump<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    toxics: watch::Receiver<Toxics>,
    is_the_servers: bool,
}

impl Pump<'_> {
    async fn run(mut self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let mut passed = 0;
        loop {
            let length = self.from.read(&mut piece).await?;
            let toxics = self.may_pass().await;
            sleep_unless_zero(toxics.latency).await;
            if length == 0 {
                return self.close(toxics.slow_close).await;
            }
            let mut octets = &piece[..length];
            let limit = toxics.limit.filter(|_| self.is_the_servers);
            let is_over = limit.is_some_and(|(most, _)| passed + octets.len() as u64 >= most);
            if let Some((most, _)) = limit.filter(|_| is_over) {
                let left = usize::try_from(most.saturating_sub(passed)).unwrap_or(usize::MAX);
                octets = &octets[..left.min(octets.len())];
            }
            self.write(octets, toxics.slicer).await?;
            passed += octets.len() as u64;
            match limit.filter(|_| is_over) {
                Some((_, End::Close)) => return self.close(Duration::ZERO).await,
                Some((_, End::Reset)) => return Err(io::ErrorKind::ConnectionReset.into()),
                None => {}
            }
        }
    }

    /// What is to be done, once anything may pass.
    async fn may_pass(&mut self) -> Toxics {
        let lifted = self.toxics.wait_for(|toxics| !toxics.blackhole).await;
        let toxics = lifted.map(|toxics| toxics.clone()).ok();
        match toxics {
            Some(toxics) => toxics,
            // Whoever could lift it is gone, and ends this connection too.
            None => std::future::pending().await,
        }
    }

    async fn write(&mut self, octets: &[u8], slicer: Option<Slicer>) -> io::Result<()> {
        let Some(Slicer {
            octets: each,
            pause,
        }) = slicer.filter(|_| self.is_the_servers)
        else {
            return self.to.write_all(octets).await;
        };
        for slice in octets.chunks(each.max(1)) {
            self.to.write_all(slice).await?;
            sleep_unless_zero(pause).await;
        }
        Ok(())
    }

    async fn close(&mut self, later: Duration) -> io::Result<()> {
        if self.is_the_servers {
            sleep_unless_zero(later).await;
        }
        self.to.shutdown().await
    }
}

async fn sleep_unless_zero(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
