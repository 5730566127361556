//! The toxic proxy does what it is told, and nothing else.

use std::time::Duration;

use holdfast_load::toxic::{End, Slicer, ToxicProxy, Toxics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
/// Nothing comes for so long: nothing comes.
const SHORT: Duration = Duration::from_millis(200);

/// A toxic proxy before a server that says again what it is told, and closes when its client does.
async fn toxic() -> ToxicProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    ToxicProxy::start(address).await.unwrap()
}

async fn connect(proxy: &ToxicProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn hears(stream: &mut TcpStream, octets: usize) -> Vec<u8> {
    let mut heard = vec![0; octets];
    let reading = stream.read_exact(&mut heard);
    timeout(LONG, reading).await.unwrap().unwrap();
    heard
}

#[tokio::test]
async fn without_toxics_everything_passes_the_end_too() {
    let proxy = toxic().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn latency_and_slices_take_their_time_and_lose_nothing() {
    let proxy = toxic().await;
    let mut stream = connect(&proxy).await;
    for toxics in [
        Toxics {
            latency: SHORT,
            ..Toxics::default()
        },
        Toxics {
            slicer: Some(Slicer {
                octets: 1,
                pause: SHORT / 4,
            }),
            ..Toxics::default()
        },
    ] {
        proxy.set(toxics);
        let began = Instant::now();
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(hears(&mut stream, 5).await, b"hello");
        assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn nothing_comes_out_of_a_blackhole_before_it_is_lifted() {
    let proxy = toxic().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Toxics {
        blackhole: true,
        ..Toxics::default()
    });
    stream.write_all(b"hello").await.unwrap();
    let early = timeout(SHORT, stream.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    proxy.set(Toxics::default());
    assert_eq!(hears(&mut stream, 5).await, b"hello");
}

#[tokio::test]
async fn a_limit_ends_the_connection_as_it_was_told() {
    let proxy = toxic().await;
    for (end, is_error) in [(End::Close, false), (End::Reset, true)] {
        proxy.set(Toxics {
            limit: Some((3, end)),
            ..Toxics::default()
        });
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.unwrap();
        let mut heard = Vec::new();
        let ended = timeout(LONG, stream.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(ended.is_err(), is_error, "{end:?}: {ended:?}");
        // A reset may overtake what was said before it.
        assert!(is_error || heard == b"hel", "{heard:?}");
    }
}

#[tokio::test]
async fn a_slow_close_comes_late() {
    let proxy = toxic().await;
    proxy.set(Toxics {
        slow_close: SHORT,
        ..Toxics::default()
    });
    let mut stream = connect(&proxy).await;
    let began = Instant::now();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn down_refuses_and_resets_until_it_is_up_again() {
    let mut proxy = toxic().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"a").await.unwrap();
    assert_eq!(hears(&mut stream, 1).await, b"a");
    proxy.down().await;
    let ended = timeout(LONG, stream.read_u8()).await.unwrap();
    assert!(ended.is_err(), "{ended:?}");
    assert!(TcpStream::connect(proxy.address()).await.is_err());
    proxy.up().unwrap();
    let mut stream = connect(&proxy).await;
    stream.write_all(b"b").await.unwrap();
    assert_eq!(hears(&mut stream, 1).await, b"b");
    proxy.reset_all();
    let ended = timeout(LONG, stream.read_u8()).await.unwrap();
    assert!(ended.is_err(), "{ended:?}");
}
