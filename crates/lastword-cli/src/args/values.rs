//! Words of the command line as values: durations, sizes, headers, close codes.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use lastword::CloseCode;

/// `NAME: VALUE`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is not a header name"))?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is not a header value"))?;
    Ok((name, value))
}

/// `NAME=VALUE`, as a browser would send it.
pub(super) fn cookie(text: &str) -> Result<String, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ';' | ',');
    if name.is_empty() || name.contains(wrong) || value.contains(wrong) {
        return Err("a cookie has no spaces, commas and semicolons".to_owned());
    }
    Ok(text.to_owned())
}

/// A value of a header.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, String> {
    text.parse().map_err(|_| format!("{text:?} is not a header value"))
}

/// Seconds, with a fraction if need be; `ms`, `s`, `m` and `h` may follow.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = "expected a number of seconds, such as 1.5, 200ms, 2m";
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong.to_owned()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong)?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| wrong.to_owned())
}

/// The same, for a wait that has to be one.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("expected more than 0 seconds".to_owned()),
        wait => Ok(wait),
    }
}

/// A wait, or `off`.
pub(super) fn wait_or_off(text: &str) -> Result<Wait, String> {
    match (text, seconds(text)) {
        ("off", _) => Ok(Wait::Off),
        (_, Ok(Duration::ZERO)) => Err("expected more than 0 seconds, or off".to_owned()),
        (_, Ok(wait)) => Ok(Wait::For(wait)),
        (_, Err(why)) => Err(format!("{why}, or off")),
    }
}

/// How many, of what there is at least one.
pub(super) fn count<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number, 1 or more".to_owned())
}

/// How many, of what there may be none.
pub(super) fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number, 0 or more".to_owned())
}

/// An address without a port.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "expected an address, such as 127.0.0.1, 0.0.0.0 or ::1".to_owned())
}

/// How long, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Off,
    For(Duration),
}

impl From<Wait> for Option<Duration> {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Off => None,
            Wait::For(limit) => Some(limit),
        }
    }
}

/// Bytes; `K`, `M` and `G` multiply by 1024.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong = || "expected a number of bytes, such as 65536, 64K, 16M".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(wrong()),
    };
    let number: usize = digits.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than this machine can count".into())
}

/// Bytes, of which there is one: a limit of none would let nothing through.
pub(super) fn at_least_a_byte(text: &str) -> Result<usize, String> {
    match size(text)? {
        0 => Err("expected a number of 1 byte or more, such as 65536, 64K, 16M".to_owned()),
        size => Ok(size),
    }
}

/// An origin as browsers say it, with `*` for parts of names; or `any`.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        "expected https://HOST[:PORT], without a path, as browsers say it; * stands for a part of a name; \
         or \"any\"".to_owned()
    };
    // Pages in a sandbox, and from files, are of that one.
    if matches!(text, "any" | "null") {
        return Ok(text.to_owned());
    }
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '*');
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '*');
    let is_address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok());
    let is_name = !name.is_empty() && name.chars().all(is_of_name);
    let is_port = port.is_none_or(|port| port == "*" || port.parse::<u16>().is_ok());
    if scheme.is_empty()
        || !scheme.chars().all(is_of_scheme)
        || !(is_name || is_address)
        || !is_port
    {
        return Err(wrong());
    }
    // Which browsers do not say.
    let is_usual = matches!((scheme, port), ("https", Some("443")) | ("http", Some("80")));
    Ok(if is_usual { format!("{scheme}://{name}") } else { text })
}

/// Where to listen: `HOST:PORT`, or a port alone, of this machine only.
pub(super) fn address(text: &str) -> Result<String, String> {
    let wrong =
        || "expected HOST:PORT or a port, such as 127.0.0.1:9000, [::1]:9000, 9000".to_owned();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => ("127.0.0.1", text),
    };
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    // An address of the sixth version without brackets could end in anything.
    let bare = host.contains(':') && !host.starts_with('[');
    if bare { Err(wrong()) } else { Ok(format!("{host}:{port}")) }
}

/// A code that a close frame of ours may carry (RFC 6455 section 7.4).
pub(crate) fn close_code(text: &str) -> Result<CloseCode, String> {
    let code = text.parse().ok().and_then(|code: u16| CloseCode::try_from(code).ok());
    code.ok_or_else(|| "expected 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999".to_owned())
}

/// A reason that a close frame has room for (RFC 6455 section 5.5).
pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.len() > MAX_REASON {
        return Err(format!("{} bytes, where a close frame has room for {MAX_REASON}", text.len()));
    }
    Ok(text.to_owned())
}

/// What is left of a control frame behind the code.
const MAX_REASON: usize = 123;

/// A host: an address, with or without the brackets that a URL needs, or a name.
pub(super) fn host(text: &str) -> Result<String, String> {
    let bare = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) if inside.parse::<Ipv6Addr>().is_ok() => inside,
        _ => text,
    };
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = bare.contains(char::is_alphabetic) && bare.chars().all(is_of_name);
    if is_name || bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    Err("expected an address or a name, such as 127.0.0.1, ::1, localhost; a port goes into --port"
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_unless_they_say_otherwise() {
        for (text, millis) in
            [("1", 1000), ("0.5", 500), ("200ms", 200), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(seconds(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "soon", "1d", "-1", "s", "1e400"] {
            assert!(seconds(text).unwrap_err().starts_with("expected a number of"), "{text}");
        }
        assert!(seconds("0").is_ok() && wait("0.0").is_err() && wait("1ms").is_ok());
        assert!(wait_or_off("0").is_err() && wait_or_off("of").is_err());
        assert_eq!(wait_or_off("off"), Ok(Wait::Off));
    }

    #[test]
    fn there_is_at_least_one_of_what_is_counted() {
        assert_eq!(count::<std::num::NonZeroU64>("7").unwrap().get(), 7);
        for text in ["0", "-1", "a", ""] {
            assert!(count::<std::num::NonZeroU64>(text).unwrap_err().starts_with("expected"));
        }
    }

    #[test]
    fn sizes_are_bytes_unless_they_say_otherwise() {
        for (text, bytes) in
            [("0", 0), ("64K", 65536), ("1M", 1 << 20), ("16mib", 16 << 20), ("5B", 5)]
        {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "K", "1T", "-1", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cookies_cannot_smuggle_a_second_one() {
        assert!(cookie("a=b").is_ok());
        for text in ["a", "=b", "a=b; c=d", "a=b\r\nX: y", "a b=c"] {
            assert!(cookie(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_alone_is_of_this_machine() {
        for (text, expected) in [
            ("9000", "127.0.0.1:9000"),
            (":9000", "127.0.0.1:9000"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:9000", "[::1]:9000"),
            ("localhost:1", "localhost:1"),
        ] {
            assert_eq!(address(text).unwrap(), expected);
        }
        for text in ["", "localhost", "::1:9000", "a:65536", "ws://a:1x"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_an_address_or_a_name() {
        for (text, bare) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("localhost", "localhost"),
            ("my_box.local", "my_box.local"),
        ] {
            assert_eq!(host(text).unwrap(), bare);
        }
        for text in [
            "",
            "localhost:80",
            "127.0.0.1:80",
            "[localhost]",
            "::1]",
            "300.0.0.1",
            "a b",
            "ws://a",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_what_a_browser_may_say() {
        for (text, said) in [
            ("any", "any"),
            ("null", "null"),
            ("https://example.com", "https://example.com"),
            ("https://Example.com:443", "https://example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:*", "http://localhost:*"),
            ("https://*.example.com", "https://*.example.com"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(origin(text).unwrap(), said);
        }
        for text in [
            "",
            "nonsense",
            "*",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com/page",
            "https://a@example.com",
            "https://example.com:port",
            "https://gr\u{fc}ezi.example",
            "://example.com",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
