//! A lean app, as the scenario sees it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::app::Life;
use super::book::{self, Arrival};
use super::{APP, Child};
use crate::trouble::Trouble;

/// How long it may take to listen, or to write down what it has seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running app. Dropping it kills it.
pub(crate) struct App {
    child: Child,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl App {
    /// An app that listens at so many ports.
    pub(crate) async fn start(ports: usize, core: Option<usize>) -> Result<Self, Trouble> {
        let accepts = None;
        Self::live(Life { ports, accepts }, core).await
    }

    /// An app that accepts so many connections in a second.
    pub(crate) async fn start_slow(accepts: u32) -> Result<Self, Trouble> {
        let accepts = Some((accepts / 1_000).max(1));
        Self::live(Life { ports: 1, accepts }, None).await
    }

    async fn live(life: Life, core: Option<usize>) -> Result<Self, Trouble> {
        // Numbers, so it cannot fail.
        let life = serde_json::to_string(&life).unwrap_or_default();
        let mut child = Child::start(APP, &life, core)?;
        let said = child.hear("listening", PATIENCE).await?;
        let ports = said.split(' ').filter_map(|port| port.parse::<u16>().ok());
        let addresses = ports.map(|port| (Ipv4Addr::LOCALHOST, port).into());
        Ok(Self {
            addresses: addresses.collect(),
            child,
        })
    }

    /// What has come to it since it was asked last, in order. `directory` is where it may put it.
    pub(crate) async fn arrivals(&mut self, directory: &Path) -> Result<Vec<Arrival>, Trouble> {
        let path = directory.join(format!("arrivals-{}", self.child.pid()));
        self.child
            .tell(&format!("write {}", path.display()))
            .await?;
        self.child.hear("written", PATIENCE).await?;
        book::read_arrivals(&path)
    }
}
