//! The PROXY protocol (the specification in HAProxy's doc/proxy-protocol.txt, section 2): who connects to a balancer
//! that copies octets is told in a header in front of the first octet.
//!
//! It has to be there and to be whole before anything else is read (the receiver must not guess), and is taken from
//! trusted peers only. What follows it stays in the socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longest header of version 1, with its CRLF.
const LINE_MAX: usize = 107;
/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, the command, the family, and how much follows.
const FIXED: usize = 16;
/// Most octets of addresses and TLVs.
const REST_MAX: usize = 4096;
/// So many octets are looked at in one go.
const GLANCE: usize = 512;

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Who is connected to the front.
    Client(IpAddr),
    /// The front itself, for a health check.
    Front,
    /// Somebody; the front does not know who, or cannot say.
    Unknown,
}

/// It is no header of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol")]
pub(crate) struct Malformed;

/// Whom the header at the beginning of `octets` names, and how long it is. None: more octets have to come.
pub(crate) fn parse(octets: &[u8]) -> Result<Option<(Source, usize)>, Malformed> {
    // The two cannot be confused from the first octet on.
    match octets.first() {
        None => Ok(None),
        Some(b'P') => line(octets),
        Some(_) => block(octets),
    }
}

/// Version 1: a line of text.
fn line(octets: &[u8]) -> Result<Option<(Source, usize)>, Malformed> {
    begins_with(octets, b"PROXY ")?;
    let seen = &octets[..octets.len().min(LINE_MAX)];
    let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n") else {
        return if octets.len() < LINE_MAX {
            Ok(None)
        } else {
            Err(Malformed)
        };
    };
    let text = str::from_utf8(&seen[..end]).map_err(|_| Malformed)?;
    let mut words = text.split(' ').skip(1);
    let source = match words.next() {
        Some("TCP4") => Source::Client(endpoints::<Ipv4Addr>(words)?.into()),
        Some("TCP6") => Source::Client(endpoints::<Ipv6Addr>(words)?.into()),
        // The rest of the line must be ignored.
        Some("UNKNOWN") => Source::Unknown,
        _ => return Err(Malformed),
    };
    Ok(Some((source, end + 2)))
}

/// Source and destination address, source and destination port, and nothing more; the source's address.
fn endpoints<'t, A: std::str::FromStr>(
    mut words: impl Iterator<Item = &'t str>,
) -> Result<A, Malformed> {
    let mut word = || words.next().ok_or(Malformed);
    let source = word()?.parse().map_err(|_| Malformed)?;
    let _destination: A = word()?.parse().map_err(|_| Malformed)?;
    let ports_sound = is_port(word()?) && is_port(word()?);
    if ports_sound && words.next().is_none() {
        Ok(source)
    } else {
        Err(Malformed)
    }
}

/// A decimal number up to 65535, without heading zeroes.
fn is_port(text: &str) -> bool {
    text.parse::<u16>()
        .is_ok_and(|port| port.to_string() == text)
}

/// Version 2: a block of octets.
fn block(octets: &[u8]) -> Result<Option<(Source, usize)>, Malformed> {
    begins_with(octets, SIGNATURE)?;
    let command = match octets.get(12) {
        None => return Ok(None),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err(Malformed),
    };
    let Some(&[family, high, low]) = octets.get(13..FIXED) else {
        return Ok(None);
    };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if rest > REST_MAX {
        return Err(Malformed);
    }
    let Some(rest) = octets.get(FIXED..FIXED + rest) else {
        return Ok(None);
    };
    let source = match command {
        // Its family must be ignored.
        Command::Local => Source::Front,
        Command::Proxy => source_of(family, rest)?,
    };
    Ok(Some((source, FIXED + rest.len())))
}

enum Command {
    Local,
    Proxy,
}

/// The source comes first; behind the addresses stand TLVs.
fn source_of(family: u8, rest: &[u8]) -> Result<Source, Malformed> {
    let (addresses, transport) = (family >> 4, family & 0xf);
    match (addresses, transport) {
        (1, 1) => match rest.first_chunk::<12>() {
            Some(&[a, b, c, d, ..]) => Ok(Source::Client(Ipv4Addr::new(a, b, c, d).into())),
            None => Err(Malformed),
        },
        (2, 1) => match (rest.first_chunk::<36>(), rest.first_chunk::<16>()) {
            (Some(_), Some(source)) => Ok(Source::Client(Ipv6Addr::from(*source).into())),
            _ => Err(Malformed),
        },
        // Valid, and nothing that could stand for a client: as if the front did not say (section 2.2).
        (0..=3, 0..=2) => Ok(Source::Unknown),
        _ => Err(Malformed),
    }
}

/// Whether `octets` are a beginning of `wanted`, or begin with it.
fn begins_with(octets: &[u8], wanted: &[u8]) -> Result<(), Malformed> {
    let common = octets.len().min(wanted.len());
    if octets[..common] == wanted[..common] {
        Ok(())
    } else {
        Err(Malformed)
    }
}

/// Takes the header off the front of a connection, and not an octet more.
pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Source> {
    let mut header = Vec::new();
    loop {
        let had = header.len();
        header.resize(had + GLANCE, 0);
        let came = stream.peek(&mut header[had..]).await?;
        if came == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        header.truncate(had + came);
        let parsed =
            parse(&header).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
        // Of a header that is not whole yet, everything that has come is a part: it is taken, so that the next look
        // waits for more.
        let end = parsed.map_or(header.len(), |(_, length)| length);
        stream.read_exact(&mut header[had..end]).await?;
        if let Some((source, _)) = parsed {
            return Ok(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with this command, this family and these octets behind.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, rest].concat()
    }

    fn address(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    fn sound() -> Vec<(Vec<u8>, Source)> {
        let tcp4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 4, 1, 0xbb];
        let mut tcp6 = [0; 36];
        tcp6[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        let tlv = [&tcp4[..], &[4, 0, 3, 1, 2, 3], &[0; 4078]].concat();
        let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY UNKNOWN {long} {long} 65535 65535\r\n");
        assert_eq!(longest.len(), LINE_MAX);
        let lines = [
            (
                "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n".to_owned(),
                address("192.0.2.1"),
            ),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n".to_owned(),
                address("255.255.255.255"),
            ),
            (
                "PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n".to_owned(),
                address("2001:db8::1"),
            ),
            (
                format!("PROXY TCP6 {long} {long} 65535 65535\r\n"),
                address(long),
            ),
            ("PROXY UNKNOWN\r\n".to_owned(), Source::Unknown),
            (
                "PROXY UNKNOWN whatever\n stands here\r\n".to_owned(),
                Source::Unknown,
            ),
            (longest, Source::Unknown),
        ];
        let blocks = [
            (v2(0x21, 0x11, &tcp4), address("192.0.2.1")),
            (v2(0x21, 0x11, &tlv), address("192.0.2.1")),
            (v2(0x21, 0x21, &tcp6), address("2001:db8::1")),
            (v2(0x20, 0x00, &[]), Source::Front),
            (v2(0x20, 0x11, &tcp4), Source::Front),
            (v2(0x20, 0xff, &[1]), Source::Front),
            (v2(0x21, 0x00, &[1, 2, 3]), Source::Unknown),
            (v2(0x21, 0x12, &tcp4), Source::Unknown),
            (v2(0x21, 0x31, &[0; 216]), Source::Unknown),
        ];
        let lines = lines
            .into_iter()
            .map(|(text, source)| (text.into_bytes(), source));
        lines.chain(blocks).collect()
    }

    #[test]
    fn a_header_names_a_client_and_ends_where_the_request_begins() {
        for (header, source) in sound() {
            let whole = Ok(Some((source, header.len())));
            assert_eq!(parse(&header), whole, "{}", header.escape_ascii());
            let followed = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse(&followed), whole, "{}", followed.escape_ascii());
        }
    }

    #[test]
    fn a_header_that_is_cut_anywhere_waits_for_the_rest() {
        for (header, _) in sound() {
            for end in 0..header.len() {
                let cut = &header[..end];
                assert_eq!(parse(cut), Ok(None), "{}", cut.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_line_of_the_protocol_is_malformed() {
        for text in [
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n",
            "PROXYTCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY tcp4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP6 ::1%1 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\nGET / HTTP/1.1\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY \r\n",
            "PROXY\r\n",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(Malformed), "{text:?}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(LINE_MAX - 15));
        assert_eq!(parse(&long.as_bytes()[..106]), Ok(None));
        assert_eq!(parse(format!("{long}\r\n").as_bytes()), Err(Malformed));
    }

    #[test]
    fn what_is_no_block_of_the_protocol_is_malformed() {
        for (command, family, rest) in [
            (0x11, 0x11, 12),
            (0x22, 0x11, 12),
            (0x31, 0x11, 12),
            (0x21, 0x11, 11),
            (0x21, 0x21, 35),
            (0x21, 0x13, 12),
            (0x21, 0x41, 12),
            (0x21, 0x11, REST_MAX + 1),
            (0x20, 0x00, REST_MAX + 1),
        ] {
            let block = v2(command, family, &vec![0; rest]);
            assert_eq!(
                parse(&block),
                Err(Malformed),
                "{command:x} {family:x} {rest}"
            );
        }
        // Announced lengths are refused before anything of them has come.
        assert_eq!(parse(&v2(0x21, 0x11, &[0; 5000])[..FIXED]), Err(Malformed));
    }

    #[test]
    fn no_mutation_of_a_header_makes_the_reader_panic_or_read_too_far() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let headers = sound();
        for _ in 0..50_000 {
            let mut octets = headers[random.usize(..headers.len())].0.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..octets.len().min(64));
                match random.u8(..3) {
                    0 => octets[at] = random.u8(..),
                    1 => drop(octets.drain(at..)),
                    _ => octets.insert(at, random.u8(..)),
                }
                if octets.is_empty() {
                    break;
                }
            }
            match parse(&octets) {
                Ok(Some((_, length))) => {
                    assert!(length <= octets.len() && length <= FIXED + REST_MAX);
                }
                Ok(None) => assert!(octets.len() < FIXED + REST_MAX),
                Err(Malformed) => {}
            }
        }
    }
}
