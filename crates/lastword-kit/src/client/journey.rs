//! Where a client is on its way from answer to answer, and what it says there.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use lastword_dial::{RedirectRefused, Redirects, WebSocketUri, strip_credentials};
use lastword_proto::handshake::client::{self, Opening};

use crate::client::wishes::Wishes;
use crate::error::ConnectError;
use crate::seed::fresh;

/// One opening after the other, until one is not answered by a redirect.
#[derive(Debug)]
pub struct Journey<'a> {
    wishes: &'a Wishes,
    uri: WebSocketUri,
    headers: HeaderMap,
    host: Option<HeaderValue>,
    redirects: Redirects,
}

impl<'a> Journey<'a> {
    /// To where the wishes lead.
    ///
    /// # Errors
    /// [`ConnectError::Url`].
    pub fn begin(wishes: &'a Wishes) -> Result<Self, ConnectError> {
        Ok(Self {
            wishes,
            uri: wishes.uri()?,
            headers: wishes.headers.clone(),
            host: wishes.host.clone(),
            redirects: Redirects::at_most(wishes.max_redirects),
        })
    }

    /// Where to go now.
    pub const fn uri(&self) -> &WebSocketUri {
        &self.uri
    }

    /// What to ask for there.
    pub fn options(&self) -> client::Options {
        let host = self.host.clone().unwrap_or_else(|| self.uri.host_header());
        let mut options = client::Options::new(host, self.uri.path().clone());
        options.subprotocols = self.wishes.subprotocols.clone();
        options.origin = self.wishes.origin.clone();
        options.headers = self.headers.clone();
        if let Some(credentials) = self.uri.credentials() {
            // What the caller set is meant so.
            options.headers.entry(AUTHORIZATION).or_insert_with(|| credentials.basic());
        }
        options
    }

    /// What to say there.
    ///
    /// # Errors
    /// [`ConnectError::Request`]: the wishes contradict the handshake.
    pub fn opening(&self) -> Result<Opening, ConnectError> {
        Ok(Opening::new(self.options(), &self.wishes.config, fresh())?)
    }

    /// After an opening that failed: there is another place to go to now, and the credentials that were
    /// meant for another origin stay behind.
    ///
    /// # Errors
    /// The error, if it sends us nowhere; [`ConnectError::Redirect`] if we do not go there.
    pub fn follow(&mut self, failed: ConnectError) -> Result<(), ConnectError> {
        let mut redirects = self.redirects;
        let Some(to) = self.destination(&mut redirects, &failed)? else { return Err(failed) };
        if !to.is_same_origin(&self.uri) {
            strip_credentials(&mut self.headers);
            self.host = None;
        }
        (self.uri, self.redirects) = (to, redirects);
        Ok(())
    }

    /// After an opening that failed over a stream that leads to one place only: what to tell the caller.
    pub fn stay(&self, failed: ConnectError) -> ConnectError {
        match self.destination(&mut { self.redirects }, &failed) {
            Ok(Some(to)) => RedirectRefused::OwnStream { to: Box::new(to) }.into(),
            Ok(None) => failed,
            Err(refused) => refused.into(),
        }
    }

    /// Where an answer sends us, if it does and if we may go anywhere at all.
    fn destination(
        &self,
        redirects: &mut Redirects,
        failed: &ConnectError,
    ) -> Result<Option<WebSocketUri>, RedirectRefused> {
        match failed {
            ConnectError::Handshake(client::Error::Refused(answer))
                if self.wishes.max_redirects > 0 =>
            {
                redirects.follow(&self.uri, answer.status(), answer.headers())
            }
            _ => Ok(None),
        }
    }
}
