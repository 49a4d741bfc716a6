//! The extensions that a connection agreed on, one behind the other (RFC 6455 section 9.1).
//!
//! A message in, what goes over the wire out, and the reverse. Keeps each extension to its word: it
//! sees and sets the bits that it claimed, and no message grows beyond the limit. Knows neither frames
//! nor compression.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::extension::{AgreedExtension, Encoded, Transform, Undecodable};
use crate::message::{Kind, Message};
use crate::utf8::Validator;
use crate::violation::{ExtensionFailed, Undecoded, Violation};
use crate::wire::{ReservedBits, Role};

/// What stands between the messages of a connection and its frames; `None` in most.
pub(crate) type Extended = Option<Box<Transforms>>;

/// Never empty.
pub(crate) struct Transforms(Vec<Link>);

struct Link {
    name: Box<str>,
    reserved: ReservedBits,
    transform: Box<dyn Transform>,
}

impl Transforms {
    /// What was agreed on, in the order in which messages go out through it.
    pub(crate) fn begin(role: Role, agreed: &[AgreedExtension]) -> Extended {
        if agreed.is_empty() {
            return None;
        }
        let links = agreed.iter().map(|agreed| {
            let extension = agreed.extension();
            Link {
                name: extension.name().into(),
                reserved: extension.reserved_bits(),
                transform: extension.begin(role, agreed.parameters()),
            }
        });
        Some(Box::new(Self(links.collect())))
    }

    /// The bits that may mark a message.
    pub(crate) fn reserved(&self) -> ReservedBits {
        self.0.iter().fold(ReservedBits::NONE, |all, link| all | link.reserved)
    }

    /// What goes over the wire for this message.
    pub(crate) fn encode(&mut self, message: &Message) -> Encoded {
        let mut coded = Encoded::from(message.payload().clone());
        for link in &mut self.0 {
            let Encoded { payload, reserved } =
                link.transform.encode(message.kind(), coded.payload);
            coded = Encoded { payload, reserved: coded.reserved | reserved.and(link.reserved) };
        }
        coded
    }

    /// The message that came so.
    pub(crate) fn decode(
        &mut self,
        kind: Kind,
        coded: Encoded,
        limit: usize,
    ) -> Result<Message, Violation> {
        let Encoded { mut payload, reserved } = coded;
        for link in self.0.iter_mut().rev() {
            let coded = Encoded { payload, reserved: reserved.and(link.reserved) };
            payload = link.decode(kind, coded, limit).map_err(|why| {
                let extension = link.name.clone();
                Violation::Extension(Box::new(ExtensionFailed { extension, why }))
            })?;
        }
        if kind == Kind::Text {
            Validator::check(&payload).map_err(|error| Violation::NotUtf8 { at: error.at })?;
        }
        Ok(Message::proven(kind, payload))
    }
}

impl Link {
    fn decode(&mut self, kind: Kind, coded: Encoded, limit: usize) -> Result<Bytes, Undecoded> {
        let Self { transform, .. } = self;
        // Code of the application's, on bytes of the peer's: nobody else would hear of it. It is not
        // called again.
        let decoded = catch_unwind(AssertUnwindSafe(|| transform.decode(kind, coded, limit)));
        match decoded {
            Ok(Ok(payload)) if payload.len() <= limit => Ok(payload),
            Ok(Ok(_) | Err(Undecodable::TooBig)) => Err(Undecoded::TooBig { limit }),
            Ok(Err(Undecodable::Broken { code, reason })) => {
                Err(Undecoded::Broken { code, reason })
            }
            Err(_) => Err(Undecoded::Panicked),
        }
    }
}

impl std::fmt::Debug for Transforms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|link| &link.name)).finish()
    }
}
