//! Masking keys: fresh and unpredictable for each frame of a client, none for a server (RFC 6455
//! sections 5.1, 5.3, 10.3).

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::wire::Role;

/// Where masking keys come from.
pub(crate) enum Masks {
    /// Servers do not mask.
    Server,
    /// A strong generator, seeded by the driver from the operating system.
    Client(Box<ChaCha12Rng>),
}

impl Masks {
    pub(crate) fn new(role: Role, seed: [u8; 32]) -> Self {
        match role {
            Role::Server => Self::Server,
            Role::Client => Self::Client(Box::new(ChaCha12Rng::from_seed(seed))),
        }
    }

    /// The key of the next frame.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::Server => None,
            Self::Client(generator) => Some(fresh(generator)),
        }
    }
}

/// Out of line, so that a server's way to send is not built around a cipher.
#[inline(never)]
fn fresh(generator: &mut ChaCha12Rng) -> [u8; 4] {
    generator.next_u32().to_le_bytes()
}

impl std::fmt::Debug for Masks {
    /// Without the keys to come.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server => "Server",
            Self::Client(_) => "Client",
        })
    }
}
