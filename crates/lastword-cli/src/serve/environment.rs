//! What a process finds in its environment of the connection that it serves: what CGI programs do (RFC 3875 section
//! 4.1), and so what those for websocketd look for.

use http::Uri;
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName};
use lastword::WebSocket;
use percent_encoding::percent_decode_str;

/// The variables of this connection, and of who has proven to be `user`. What a peer sends has no zero
/// byte in any of them.
pub(super) fn of(ws: &WebSocket, user: Option<&str>) -> Vec<(String, String)> {
    let opening = ws.opening();
    let request = opening.request();
    let uri = request.uri();
    let mut variables = vec![
        ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
        ("SERVER_SOFTWARE", concat!("lastword/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("SERVER_PROTOCOL", "HTTP/1.1".to_owned()),
        ("REQUEST_METHOD", "GET".to_owned()),
        ("REQUEST_URI", uri.to_string()),
        ("SCRIPT_NAME", String::new()),
        ("PATH_INFO", decoded(uri.path())),
        ("QUERY_STRING", uri.query().unwrap_or_default().to_owned()),
        ("SERVER_NAME", host(request.headers())),
        ("UNIQUE_ID", opening.id.to_string()),
    ];
    if let Some(own) = opening.local_addr {
        variables.push(("SERVER_PORT", own.port().to_string()));
    }
    if let Some(peer) = opening.peer_addr {
        // Whoever has no name is called by the address.
        variables.push(("REMOTE_HOST", peer.ip().to_string()));
        variables.push(("REMOTE_ADDR", peer.ip().to_string()));
        variables.push(("REMOTE_PORT", peer.port().to_string()));
    }
    if ws.tls().is_some() {
        variables.push(("HTTPS", "on".to_owned()));
    }
    if let Some(user) = user {
        variables.push(("AUTH_TYPE", "Basic".to_owned()));
        variables.push(("REMOTE_USER", user.to_owned()));
    }
    let named = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    // What has proven it was for us only (RFC 3875 section 4.1.18).
    let is_told = |name: &HeaderName| user.is_none() || *name != AUTHORIZATION;
    named.chain(headers(request.headers(), is_told)).collect()
}

/// A path as it is meant; as it came, if that cannot be said in a variable.
fn decoded(path: &str) -> String {
    match percent_decode_str(path).decode_utf8() {
        Ok(decoded) if !decoded.contains('\0') => decoded.into_owned(),
        _ => path.to_owned(),
    }
}

/// What the client called us, without a port.
fn host(headers: &HeaderMap) -> String {
    let authority = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Uri>().ok());
    authority.as_ref().and_then(Uri::host).unwrap_or_default().to_owned()
}

/// Headers as CGI passes them (RFC 3875 section 4.1.18). `Proxy` would become `HTTP_PROXY`, which programs take for a
/// setting.
fn headers(
    headers: &HeaderMap,
    is_told: impl Fn(&HeaderName) -> bool,
) -> impl Iterator<Item = (String, String)> {
    let told = headers.keys().filter(move |name| *name != "proxy" && is_told(name));
    told.filter_map(|name| {
        let values: Vec<&str> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        let key = format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_"));
        (!values.is_empty()).then(|| (key, values.join(", ")))
    })
}
