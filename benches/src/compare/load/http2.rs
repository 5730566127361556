//! HTTP/2 in the clear, on few connections with many streams each.

use std::io;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::paced::{self, Client};
use super::{Outcome, Plan};
use crate::browser::{self, COOKIE, FIELDS};

/// At once on each connection.
const STREAMS: usize = 16;

pub(super) fn run(plan: &Plan) -> io::Result<Outcome> {
    paced::on_one_thread(async {
        let mut clients = Vec::new();
        while clients.len() < plan.connections {
            let tcp = TcpStream::connect(plan.target).await?;
            tcp.set_nodelay(true)?;
            let made = h2::client::handshake(tcp).await.map_err(io::Error::other)?;
            let (requests, connection) = made;
            // Its end is seen by those who ask.
            spawn_local(async { drop(connection.await) });
            let streams = STREAMS.min(plan.connections - clients.len());
            for _ in 0..streams {
                clients.push(Http2Client {
                    requests: requests.clone(),
                    request: request(plan).map_err(io::Error::other)?,
                });
            }
        }
        paced::drive(plan, clients).await
    })
}

fn request(plan: &Plan) -> http::Result<Request<()>> {
    let host = super::host(0);
    let mut request = Request::get(format!("http://{host}{}", plan.ask.target()));
    for (name, value) in FIELDS {
        request = request.header(name, value);
    }
    let request = request.header("cookie", COOKIE);
    let request = request.header("referer", format!("http://{host}/index.html"));
    request.body(())
}

struct Http2Client {
    requests: SendRequest<Bytes>,
    request: Request<()>,
}

impl Client for Http2Client {
    async fn ask(&mut self) -> Result<(), String> {
        let asked = self.exchange().await;
        match asked.map_err(|why| why.to_string())? {
            (200, _) => Ok(()),
            (status, octets) => Err(format!("status {status}, {octets} octets")),
        }
    }
}

impl Http2Client {
    /// The status, and the length of the body.
    async fn exchange(&mut self) -> Result<(u16, usize), h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (answer, _) = requests.send_request(self.request.clone(), true)?;
        browser::whole(answer).await
    }
}
