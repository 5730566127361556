//! The origin: it reads a head, and answers. Its instructions are not counted, so it may be simple: a thread for each
//! connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nserver: an origin\r\ndate: Sat, 21 Nov 2026 17:00:00 GMT\r\n\
    content-type: text/plain\r\ncontent-length: 128\r\n\r\n";
/// Of an answer's body.
pub(super) const BODY: [u8; 128] = [b'x'; 128];

/// Answers everybody, for as long as this program runs.
pub(super) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let whole = [ANSWER, &BODY].concat();
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => head.extend_from_slice(&buffer[..read]),
        }
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(&whole)?;
        }
    }
}
