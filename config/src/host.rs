//! What may stand in `hosts` and `paths`.

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHost {
    #[error("a host is missing")]
    Empty,
    #[error("longer than 253 characters")]
    TooLong,
    #[error("`*` alone is no host: leave `hosts` away to take every host")]
    Everything,
    #[error("`*` may only be the whole first label, as in `*.example.com`")]
    Wildcard,
    #[error("a host, not a URL: leave the scheme and the path away")]
    Url,
    #[error("a host without a port: one app serves the same hosts on every port")]
    Port,
    #[error("write a name with other than ASCII letters in its `xn--` form")]
    NotAscii,
    #[error("{0:?} may not stand in a host")]
    Character(char),
    #[error("{0:?} is no label: 1 to 63 characters, no hyphen at either end")]
    Label(String),
}

/// The host as it is compared: lower case, IPv6 addresses in brackets and in their shortest form.
pub(crate) fn parse_host(text: &str) -> Result<String, BadHost> {
    if let Some(address) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address: Result<std::net::Ipv6Addr, _> = address.parse();
        return match address {
            Ok(address) => Ok(format!("[{address}]")),
            Err(_) => Err(BadHost::Character('[')),
        };
    }
    match text.strip_prefix("*.") {
        Some(suffix) => Ok(format!("*.{}", parse_name(suffix)?)),
        None if text == "*" => Err(BadHost::Everything),
        None => parse_name(text),
    }
}

/// A host name or an IPv4 address, in lower case.
pub(crate) fn parse_name(text: &str) -> Result<String, BadHost> {
    match text {
        "" => return Err(BadHost::Empty),
        _ if text.len() > 253 => return Err(BadHost::TooLong),
        _ if text.contains("://") || text.contains('/') => return Err(BadHost::Url),
        _ if text.contains(':') => return Err(BadHost::Port),
        _ if text.contains('*') => return Err(BadHost::Wildcard),
        _ if !text.is_ascii() => return Err(BadHost::NotAscii),
        _ => {}
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(stray) = text.chars().find(|c| !allowed(*c)) {
        return Err(BadHost::Character(stray));
    }
    let sound = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    match text.split('.').find(|label| !sound(label)) {
        Some(label) => Err(BadHost::Label(label.into())),
        None => Ok(text.to_ascii_lowercase()),
    }
}

/// Why a text is no path of a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    #[error("a path begins with a slash")]
    NoSlash,
    #[error("longer than {PATH_MAX} characters")]
    TooLong,
    #[error("{0:?} may not stand in a path")]
    Character(char),
    #[error("only whole segments are compared: no empty, `.` or `..` ones")]
    Segment,
}

const PATH_MAX: usize = 1024;

/// A path prefix, without the slash at its end (but for `/` itself).
pub(crate) fn parse_prefix(text: &str) -> Result<String, BadPath> {
    parse_target(text, &['?', '#'])?;
    let prefix = text.strip_suffix('/').unwrap_or(text);
    let odd = |segment: &str| matches!(segment, "" | "." | "..");
    if prefix.split('/').skip(1).any(odd) {
        return Err(BadPath::Segment);
    }
    Ok(if prefix.is_empty() { "/" } else { prefix }.to_owned())
}

/// A path that can be asked for: with a query, but without a fragment.
pub(crate) fn parse_probe_path(text: &str) -> Result<String, BadPath> {
    parse_target(text, &['#']).map(str::to_owned)
}

fn parse_target<'t>(text: &'t str, refused: &[char]) -> Result<&'t str, BadPath> {
    if !text.starts_with('/') {
        return Err(BadPath::NoSlash);
    }
    if text.len() > PATH_MAX {
        return Err(BadPath::TooLong);
    }
    let stray = |c: &char| !c.is_ascii_graphic() || refused.contains(c);
    match text.chars().find(stray) {
        Some(stray) => Err(BadPath::Character(stray)),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_in_one_form() {
        for (written, meant) in [
            ("Shop.Example.COM", "shop.example.com"),
            ("*.Example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("my_app.local", "my_app.local"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(parse_host(written).as_deref(), Ok(meant));
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        for (written, reason) in [
            ("", BadHost::Empty),
            ("*", BadHost::Everything),
            ("a.*.b", BadHost::Wildcard),
            ("*a.b", BadHost::Wildcard),
            ("*.*.b", BadHost::Wildcard),
            ("http://a.b", BadHost::Url),
            ("a.b/c", BadHost::Url),
            ("a.b:80", BadHost::Port),
            ("bücher.example", BadHost::NotAscii),
            ("a b", BadHost::Character(' ')),
            ("[::1", BadHost::Port),
            ("[1]", BadHost::Character('[')),
            ("a..b", BadHost::Label("".into())),
            ("a.b.", BadHost::Label("".into())),
            ("-a.b", BadHost::Label("-a".into())),
        ] {
            assert_eq!(parse_host(written), Err(reason), "{written}");
        }
        assert_eq!(parse_host(&"a.".repeat(127)), Err(BadHost::TooLong));
        let label = "a".repeat(64);
        assert_eq!(parse_host(&label), Err(BadHost::Label(label)));
    }

    #[test]
    fn prefixes_are_compared_by_whole_segments() {
        for (written, meant) in [
            ("/", Ok("/")),
            ("/api", Ok("/api")),
            ("/api/", Ok("/api")),
            ("/a%20b/c", Ok("/a%20b/c")),
            ("api", Err(BadPath::NoSlash)),
            ("", Err(BadPath::NoSlash)),
            ("//", Err(BadPath::Segment)),
            ("/a//b", Err(BadPath::Segment)),
            ("/a/../b", Err(BadPath::Segment)),
            ("/a?b", Err(BadPath::Character('?'))),
            ("/a#b", Err(BadPath::Character('#'))),
            ("/ä", Err(BadPath::Character('ä'))),
            ("/a b", Err(BadPath::Character(' '))),
        ] {
            assert_eq!(parse_prefix(written), meant.map(str::to_owned), "{written}");
        }
        let long = format!("/{}", "a".repeat(PATH_MAX));
        assert_eq!(parse_prefix(&long), Err(BadPath::TooLong));
        assert_eq!(parse_probe_path("/up?deep=1"), Ok("/up?deep=1".into()));
    }
}
