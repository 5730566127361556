//! A client that says exactly what a test wants said, and reads answers without knowing our types.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::DEADLINE;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The problem's code.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }

    /// The body, if all went well.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    pub(crate) fn must_be(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.fields["content-type"], "application/problem+json");
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        let socket = socket.to_owned();
        Self { socket }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, &[], body.to_string()).await
    }

    /// A verb of the app `web`.
    pub(crate) async fn web(&self, verb: &str, body: Value) -> Answer {
        self.post(&format!("/v1/apps/web/{verb}"), body).await
    }

    /// Promotes to what runs at this address.
    pub(crate) async fn promote(&self, release: &str, address: &str) -> Answer {
        let body = json!({ "release": release, "instance": [address] });
        self.web("promote", body).await
    }

    /// The status of the app `web`.
    pub(crate) async fn status(&self) -> Value {
        self.get("/v1/status").await.ok()["apps"]["web"].clone()
    }

    pub(crate) async fn live(&self) -> Value {
        self.status().await["live"]["release"].clone()
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (response, driving) = self.send(method, path, fields, body).await;
        let (head, body) = response.into_parts();
        let body = timeout(DEADLINE, body.collect()).await.unwrap().unwrap();
        driving.abort();
        let octets = body.to_bytes();
        let text = String::from_utf8_lossy(&octets).into_owned();
        Answer {
            status: head.status.as_u16(),
            fields: head.headers,
            body: serde_json::from_slice(&octets).unwrap_or(Value::String(text)),
        }
    }

    /// Asks for a stream of events.
    pub(crate) async fn listen(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: &Value,
    ) -> Stream {
        let body = match method {
            Method::GET => String::new(),
            _ => body.to_string(),
        };
        let (response, driving) = self.send(method, path, fields, body).await;
        let (head, body) = response.into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-type"], "text/event-stream");
        Stream {
            body,
            read: BytesMut::new(),
            driving,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (Response<Incoming>, JoinHandle<()>) {
        let stream = self.connect().await;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        let driving = tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "h");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = timeout(DEADLINE, sender.send_request(request))
            .await
            .unwrap()
            .unwrap();
        (response, driving)
    }

    pub(crate) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    /// Says these octets, and what is read until the daemon closes.
    pub(crate) async fn say(&self, octets: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The daemon may have said all that it has to say before it has read everything.
        let _ = stream.write_all(octets).await;
        let mut said = Vec::new();
        let reading = stream.read_to_end(&mut said);
        let _ = timeout(DEADLINE, reading).await.unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// Server-sent events. Its drop closes the connection.
pub(crate) struct Stream {
    body: Incoming,
    read: BytesMut,
    driving: JoinHandle<()>,
}

impl Stream {
    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let block = self.read.split_to(end + 2);
                let mut lines = block.as_ref().split(|octet| *octet == b'\n');
                if let Some(data) = lines.find_map(|line| line.strip_prefix(b"data: ")) {
                    return Some(serde_json::from_slice(data).unwrap());
                }
                continue;
            }
            let frame = timeout(DEADLINE, self.body.frame()).await.unwrap();
            self.read
                .extend_from_slice(&frame?.unwrap().into_data().unwrap());
        }
    }

    /// The next event that `is_it`.
    pub(crate) async fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        while let Some(event) = self.next().await {
            if is_it(&event) {
                return event;
            }
        }
        panic!("the stream ended without {what}");
    }

    pub(crate) async fn until_phase(&mut self, phase: &str) -> Value {
        self.until(phase, |event| {
            event["event"] == "phase" && event["phase"] == phase
        })
        .await
    }

    /// The rest of it.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.driving.abort();
    }
}
