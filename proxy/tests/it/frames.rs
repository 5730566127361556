//! HTTP/2 frame by frame: what RFC 9113 calls an error ends the stream or the connection with the code that it names,
//! reaches no app, and hurts nobody else.

mod cases;
mod wire;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::App;
use crate::client::PATIENCE;
use crate::daemon::Daemon;
use cases::*;
use wire::*;

/// What came first that decides.
#[derive(Debug)]
enum Came {
    End(Option<u32>),
    Reset(u32),
    Status(u16),
}

async fn play(daemon: &Daemon, octets: &[u8]) -> Came {
    let mut stream = TcpStream::connect(daemon.address).await.unwrap();
    // What the other side does not take any more is no matter.
    let _ = stream
        .write_all(&[greeting(), octets.to_vec()].concat())
        .await;
    timeout(PATIENCE, async {
        loop {
            match next(&mut stream).await {
                None => return Came::End(None),
                Some((GOAWAY, _, payload)) => return Came::End(Some(number(&payload[4..]))),
                Some((RST_STREAM, 1, payload)) => return Came::Reset(number(&payload)),
                Some((HEADERS, 1, payload)) => return Came::Status(status(&payload)),
                Some(_) => {}
            }
        }
    })
    .await
    .expect("an end in time")
}

/// h2 says the general code where it could say `FRAME_SIZE_ERROR`, `COMPRESSION_ERROR` or `FLOW_CONTROL_ERROR`, and ends
/// the connection where it could end the stream. Both end what is wrong.
fn is_as_wanted(want: Want, came: &Came) -> bool {
    match (want, came) {
        (Served, Came::Status(200)) | (Malformed, Came::Status(400) | Came::End(None)) => true,
        (Connection(_) | Stream(_), Came::End(None | Some(PROTOCOL))) => true,
        (Malformed, Came::End(Some(code)) | Came::Reset(code)) => *code == PROTOCOL,
        (Connection(codes), Came::End(Some(code))) => codes.contains(code),
        (Stream(codes), Came::End(Some(code)) | Came::Reset(code)) => codes.contains(code),
        // A stream whose error came behind its whole request may have been answered before.
        (Stream(codes), Came::Status(200)) => codes.contains(&STREAM_CLOSED),
        _ => false,
    }
}

async fn play_all(cases: Vec<Case>) {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut wrong = Vec::new();
    for (section, what, octets, want) in cases {
        let before = app.targets().len();
        let came = play(&daemon, &octets).await;
        if !is_as_wanted(want, &came) {
            wrong.push(format!("{section}, {what}: {came:?} instead of {want:?}"));
        }
        if matches!(want, Malformed) && app.targets().len() > before {
            wrong.push(format!("{section}, {what}: it reached the app"));
        }
        let sound = play(&daemon, &get()).await;
        assert!(
            matches!(sound, Came::Status(200)),
            "after {what}: {sound:?}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn frames_that_are_errors_end_what_they_are_errors_of() {
    play_all(cases_of_frames()).await;
}

#[tokio::test]
async fn malformed_requests_reach_no_app() {
    play_all(malformed()).await;
}

#[tokio::test]
async fn a_preface_that_is_none_ends_the_connection() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let none = PREFACE.to_ascii_lowercase();
    let almost = [&PREFACE[..18], b"XX\r\n\r\n"].concat();
    for octets in [none, almost] {
        let mut stream = TcpStream::connect(daemon.address).await.unwrap();
        stream.write_all(&octets).await.unwrap();
        let mut rest = Vec::new();
        let reading = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
        // A reset is an end as well.
        let _ = timeout(PATIENCE, reading).await.expect("the end in time");
    }
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn a_ping_is_answered_and_a_goaway_ends_nothing_that_runs() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut stream = TcpStream::connect(daemon.address).await.unwrap();
    let ping = frame(PING, 0, 0, b"12345678");
    let slow = literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/slow/200"),
        (":authority", "x.test"),
    ]);
    let goaway = frame(GOAWAY, 0, 0, &[[0; 4], NO_ERROR.to_be_bytes()].concat());
    let octets = [greeting(), headers(1, 5, &slow), ping, goaway].concat();
    stream.write_all(&octets).await.unwrap();
    let (mut pong, mut answered) = (false, false);
    let reading = async {
        while let Some((kind, stream, payload)) = next(&mut stream).await {
            pong |= kind == PING && payload == b"12345678";
            answered |= kind == HEADERS && stream == 1 && status(&payload) == 200;
        }
    };
    timeout(PATIENCE, reading).await.expect("the end in time");
    assert!(pong && answered, "pong {pong}, answered {answered}");
}
