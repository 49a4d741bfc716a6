//! A certificate for the purpose: for this machine's names, good for this run, trusted by nobody.

use std::net::IpAddr;
use std::sync::Arc;

use lastword::ServerTls;
use lastword::rustls::pki_types::PrivateKeyDer;
use lastword::rustls::server::danger::ClientCertVerifier;

use crate::args::{Wrong, server_tls};

pub(super) fn made_here(
    host: &str,
    vouching: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerTls, Wrong> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let is_everywhere = host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    if !is_everywhere && !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    let made =
        rcgen::generate_simple_self_signed(names).map_err(|why| Wrong::Making(why.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    server_tls(vec![made.cert.into()], key, vouching).map_err(|why| Wrong::Making(why.to_string()))
}
