//! An app that takes nothing but what RFC 9112 allows, reads it without anything of hyper, and takes the first request
//! that it could complain about for a failure.

/// One request as the app has read it, down to its last octet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) method: String,
    pub(super) target: String,
    fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Body,
}

/// What stands behind a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole(Vec<u8>),
    /// More was announced.
    Broken,
}

impl Told {
    /// Reads what came on a connection, which must be one request and nothing behind it.
    pub(super) fn read(octets: &[u8]) -> Self {
        let (line, mut rest) = line(octets).expect("a request line");
        let words: Vec<&str> = text(line).split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else {
            panic!("no request line: {words:?}");
        };
        let mut fields = Vec::new();
        while let (line, behind) = self::line(rest).expect("a whole head")
            && let Some(field) = field(line, &mut rest, behind)
        {
            fields.push(field);
        }
        let mut told = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            fields,
            body: Body::Broken,
        };
        told.body = told.body(rest);
        told.must_be_sound();
        told
    }

    pub(super) fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self.fields.iter().filter(|(found, _)| found == name);
        of_name.map(|(_, value)| &value[..]).collect()
    }

    /// The value of a field that has to be there just once.
    pub(super) fn one(&self, name: &str) -> &str {
        let values = self.values(name);
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        text(values[0])
    }

    fn body(&self, octets: &[u8]) -> Body {
        let codings = self.values("transfer-encoding");
        let lengths = self.values("content-length");
        match (&codings[..], &lengths[..]) {
            ([], []) => {
                assert!(octets.is_empty(), "octets behind a request without a body");
                Body::Whole(Vec::new())
            }
            ([], [length]) => {
                let digits = text(length);
                assert!(digits.bytes().all(|octet| octet.is_ascii_digit()));
                let length: usize = digits.parse().expect("a length");
                assert!(octets.len() <= length, "octets behind the body");
                match octets.len() == length {
                    true => Body::Whole(octets.to_vec()),
                    false => Body::Broken,
                }
            }
            ([b"chunked"], []) => chunks(octets).map_or(Body::Broken, Body::Whole),
            _ => panic!("framed as {codings:?} and {lengths:?}"),
        }
    }

    /// What holds of every request that a proxy sends.
    fn must_be_sound(&self) {
        assert!(!self.method.is_empty() && self.method.bytes().all(is_token));
        assert_ne!(self.method, "CONNECT");
        let visible = self.target.bytes().all(|octet| octet.is_ascii_graphic());
        assert!(visible, "{:?}", self.target);
        let asterisk = self.target == "*" && self.method == "OPTIONS";
        assert!(asterisk || self.target.starts_with('/'), "{}", self.target);
        assert_eq!(self.values("host").len(), 1, "Host: {self:?}");
        for gone in ["keep-alive", "proxy-connection", "te", "http2-settings"] {
            assert!(self.values(gone).is_empty(), "{gone} of one hop goes on");
        }
        let offer = (self.values("connection"), self.values("upgrade"));
        match (&offer.0[..], &offer.1[..]) {
            ([], []) => {}
            ([b"upgrade"], [b"websocket"]) => assert_eq!(self.method, "GET"),
            _ => panic!("Connection and Upgrade are {offer:?}"),
        }
    }
}

/// The next line, without its end, and what is behind.
fn line(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.windows(2).position(|two| two == b"\r\n")?;
    Some((&octets[..end], &octets[end + 2..]))
}

/// None for the empty line. Moves on to what is behind in any case.
fn field<'o>(line: &[u8], rest: &mut &'o [u8], behind: &'o [u8]) -> Option<(String, Vec<u8>)> {
    *rest = behind;
    if line.is_empty() {
        return None;
    }
    let colon = line.iter().position(|octet| *octet == b':');
    let (name, value) = line.split_at(colon.expect("a colon in a field"));
    assert!(
        !name.is_empty() && name.iter().copied().all(is_token),
        "{name:?}"
    );
    assert!(!name.contains(&b'_'), "an underscore in {}", text(name));
    let value = value[1..].trim_ascii();
    let sound = |octet: &u8| *octet == b'\t' || (*octet >= b' ' && *octet != 0x7f);
    assert!(value.iter().all(sound), "{}", value.escape_ascii());
    Some((text(name).to_ascii_lowercase(), value.to_vec()))
}

/// The octets of a chunked body, if it ends.
fn chunks(mut octets: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (size, behind) = line(octets)?;
        let size = usize::from_str_radix(text(size), 16).expect("a size in hexadecimal digits");
        if size == 0 {
            octets = behind;
            break;
        }
        body.extend_from_slice(behind.get(..size)?);
        octets = behind.get(size..)?;
        octets = match octets.split_at_checked(2) {
            Some((b"\r\n", behind)) => behind,
            Some(_) => panic!("a chunk is longer than it says"),
            None => return None,
        };
    }
    while let (line, behind) = line(octets)?
        && let Some((name, _)) = field(line, &mut octets, behind)
    {
        let of_heads = [
            "host",
            "content-length",
            "transfer-encoding",
            "authorization",
            "te",
        ];
        assert!(!of_heads.contains(&&name[..]), "{name} behind the body");
    }
    assert!(octets.is_empty(), "octets behind the last chunk");
    Some(body)
}

fn text(octets: &[u8]) -> &str {
    str::from_utf8(octets).expect("text")
}

/// RFC 9110, 5.6.2.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}
