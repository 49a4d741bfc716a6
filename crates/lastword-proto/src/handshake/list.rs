//! The list in `Sec-WebSocket-Extensions`: names, each with parameters (RFC 6455 section 9.1).
//!
//! Read where it stands, in one pass; what it means, others know.

use std::borrow::Cow;

use crate::extension::{Parameters, is_token_byte};

/// The header is not a list of extensions with parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One element of the list. Invariant: what stands behind the name are parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) name: &'a str,
    behind: &'a [u8],
}

impl<'a> Element<'a> {
    /// The parameters, in order: name, and value if there is one.
    pub(super) fn parameters(self) -> impl Iterator<Item = Parameter<'a>> {
        let mut scanner = Scanner { rest: self.behind };
        std::iter::from_fn(move || if scanner.eat(b';') { scanner.parameter() } else { None })
    }

    /// The parameters, to be kept.
    pub(super) fn to_parameters(self) -> Parameters {
        self.parameters()
            .fold(Parameters::default(), |all, (name, value)| all.and(name, value.as_deref()))
    }
}

type Parameter<'a> = (&'a str, Option<Cow<'a, str>>);

/// All elements of all `Sec-WebSocket-Extensions` fields, in order.
pub(super) fn elements<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Element<'a>, Malformed>> {
    let mut scanner = Scanner { rest: &[] };
    std::iter::from_fn(move || {
        // Empty list elements are allowed (RFC 9110 section 5.6.1.2).
        while scanner.eat(b',') {}
        while scanner.is_at_end() {
            scanner.rest = values.next()?;
            while scanner.eat(b',') {}
        }
        let element = scanner.element().filter(|_| scanner.is_at_end() || scanner.is_at(b','));
        Some(element.ok_or(Malformed))
    })
}

/// Reads a header value from left to right.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn element(&mut self) -> Option<Element<'a>> {
        let name = self.token()?;
        let behind = self.rest;
        while self.eat(b';') {
            self.parameter()?;
        }
        let size = behind.len().saturating_sub(self.rest.len());
        Some(Element { name, behind: behind.get(..size).unwrap_or_default() })
    }

    /// What stands behind a semicolon.
    fn parameter(&mut self) -> Option<Parameter<'a>> {
        let name = self.token()?;
        let value = if self.eat(b'=') { Some(self.value()?) } else { None };
        Some((name, value))
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end = self.rest.iter().position(|&b| !is_token_byte(b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        if token.is_empty() { None } else { std::str::from_utf8(token).ok() }
    }

    /// A token, or a quoted string whose content is a token (RFC 6455 section 9.1).
    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.eat(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let end = self.rest.iter().position(|&b| b == b'"')?;
        let (quoted, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..)?;
        let content: Vec<u8> = quoted.iter().copied().filter(|&b| b != b'\\').collect();
        if content.is_empty() || !content.iter().copied().all(is_token_byte) {
            return None;
        }
        String::from_utf8(content).ok().map(Cow::Owned)
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn is_at(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn skip_space(&mut self) {
        while let Some((b' ' | b'\t', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}
