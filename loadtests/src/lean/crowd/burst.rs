//! All at once: every client connects and asks in the same moment.

use std::io;
use std::rc::Rc;

use holdfast_load::clock::Moment;
use tokio::task::spawn_local;

use super::super::book::{self, Outcome, Sent};
use super::super::{Ear, expect, tell};
use super::{Crowd, ask, open};

pub(super) async fn run(plan: Crowd, mut ear: Ear) -> io::Result<()> {
    tell("open")?;
    expect(&mut ear, "go").await?;
    let plan = Rc::new(plan);
    let clients: Vec<_> = (0..plan.requests)
        .map(|id| spawn_local(one(plan.clone(), id)))
        .collect();
    tell("sent")?;
    let mut sent = Vec::with_capacity(clients.len());
    for client in clients {
        sent.push(client.await.map_err(io::Error::other)?);
    }
    book::write_sent(&plan.book, &sent)?;
    tell("done")?;
    while ear.recv().await.is_some() {}
    Ok(())
}

async fn one(plan: Rc<Crowd>, id: u32) -> Sent {
    let at = Moment::now();
    let lost = |_| Sent {
        id,
        at,
        ended: Moment::now(),
        outcome: Outcome::Lost,
    };
    let asked = async {
        let mut connection = open::first(&plan).await?;
        let (sent, _stream) = ask(&plan, &mut connection, id)
            .await
            .await
            .map_err(io::Error::other)?;
        Ok::<_, io::Error>(Sent { at, ..sent })
    };
    asked.await.unwrap_or_else(lost)
}
