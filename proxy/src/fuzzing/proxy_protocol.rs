//! The header of the PROXY protocol.

use crate::proxy_protocol::{Malformed, Source, parse};

/// Longer than any header.
const LOOKED_AT: usize = 5000;

/// A header is found once and for all: it is not there before its last octet has come, and what comes behind it, or
/// behind what is no header, changes nothing.
pub fn proxy_protocol(octets: &[u8]) {
    let octets = &octets[..octets.len().min(LOOKED_AT)];
    let whole = parse(octets);
    let behind = [octets, b" 1\r\n\0GET / HTTP/1.1\r\n\r\n"].concat();
    match whole {
        Ok(Some((source, length))) => {
            assert!(length <= octets.len(), "more than there is");
            assert_eq!(parse(&octets[..length]), whole, "by itself");
            assert_eq!(parse(&behind), whole, "with more behind");
            must_all_be(octets, length, &Ok(None));
            must_be_read_again(source);
        }
        Ok(None) => must_all_be(octets, octets.len(), &Ok(None)),
        Err(Malformed) => {
            assert_eq!(parse(&behind), Err(Malformed), "with more behind");
            let first = (0..octets.len()).find(|end| parse(&octets[..*end]).is_err());
            must_all_be(octets, first.unwrap_or(octets.len()), &Ok(None));
        }
    }
}

/// What each shorter beginning is.
fn must_all_be(octets: &[u8], end: usize, expected: &Result<Option<(Source, usize)>, Malformed>) {
    for length in 0..end {
        assert_eq!(parse(&octets[..length]), *expected, "cut at {length}");
    }
}

/// Both versions can say whom it named.
fn must_be_read_again(source: Source) {
    let Source::Client(address) = source else {
        return;
    };
    let (word, family, octets) = match address {
        std::net::IpAddr::V4(address) => ("TCP4", 0x11, address.octets().to_vec()),
        std::net::IpAddr::V6(address) => ("TCP6", 0x21, address.octets().to_vec()),
    };
    let line = format!("PROXY {word} {address} {address} 1 2\r\n");
    assert_eq!(parse(line.as_bytes()), Ok(Some((source, line.len()))));
    let length = 2 * octets.len() + 4;
    let head = [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[family, 0, length as u8]].concat();
    let block = [&head[..], &octets, &octets, &[0; 4]].concat();
    assert_eq!(parse(&block), Ok(Some((source, block.len()))));
}
