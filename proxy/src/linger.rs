//! Closing without a reset: a socket that is closed with unread octets resets its peer, who then may lose an answer
//! that was on its way.

use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tls::Secured;

/// How long a client may take to close its side.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// Ends our side, then reads and drops what still comes until the client ends its own. Boxed: every connection comes to this,
/// and has no room for it before.
pub(crate) fn close(stream: Secured) -> Pin<Box<impl Future<Output = ()>>> {
    Box::pin(end(stream))
}

async fn end(mut stream: Secured) {
    let ending = async {
        // With TLS it may have to write.
        if stream.shutdown().await.is_ok()
            && let Ok(stream) = stream.tcp()
        {
            drain(stream).await;
        }
    };
    let _ = tokio::time::timeout(LINGER_MAX, ending).await;
}

/// Reads until the end. The buffer lives between two waits only, so that a lingering connection takes no memory.
async fn drain(stream: &TcpStream) {
    while stream.readable().await.is_ok() {
        let mut octets = [0; 1024];
        match stream.try_read(&mut octets) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Whether the client has written something that nobody has read.
pub(crate) fn has_unread(stream: &Secured) -> bool {
    let unread = stream.descriptor().map(rustix::io::ioctl_fionread);
    unread.is_some_and(|octets| octets.is_ok_and(|octets| octets > 0))
}
