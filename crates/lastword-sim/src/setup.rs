//! How a world is made: the settings of both sides and of the link, all from one number, so that a
//! seed, a script and a fuzzer's input can name them.

use std::sync::Arc;
use std::time::Duration;

use lastword_proto::{
    AgreedExtension, Agreement, Config, ContextTakeover, DeflateAgreement, DeflateConfig,
    DeflateDirection, Delivery, Parameters, Role, Unconfirmed,
};

use crate::numbered::Numbered;

/// The settings of a world.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The number that it was made from.
    pub code: u64,
    /// How many links there are, each with two sides.
    pub links: usize,
    /// Bytes that may be in flight, each way.
    pub window: usize,
    /// What was agreed on compression.
    pub deflate: Option<DeflateAgreement>,
    /// Whether an extension was agreed on.
    pub extended: Extended,
    /// The settings of clients, then of servers.
    pub configs: [Arc<Config>; 2],
}

/// Whether both sides agreed on an extension of the application's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// They did not.
    No,
    /// They agreed on [`Numbered`].
    Yes,
}

impl Setup {
    /// The setup of a number; 0 is a plain one, with small buffers and no compression.
    pub fn of(code: u64) -> Self {
        let extended = if code / PLAIN % 4 == 3 { Extended::Yes } else { Extended::No };
        let mut digits = Digits(code % PLAIN);
        let window = digits.choose([1 << 20, 7, 64, 1000]);
        let links = digits.choose([1, 1, 1, 2]);
        let deflate = (digits.choose([0, 0, 1]) == 1).then(|| {
            let mut direction = || DeflateDirection {
                window_bits: digits.choose([9, 12, 15]),
                takeover: digits.choose([ContextTakeover::Kept, ContextTakeover::None]),
            };
            DeflateAgreement { client: direction(), server: direction() }
        });
        let configs = [(); 2].map(|()| Arc::new(config(&mut digits)));
        Self { code, links, window, deflate, extended, configs }
    }

    /// How many different setups there are; larger numbers repeat them.
    pub const COUNT: u64 = PLAIN * 4;

    /// What the opening of `role` ended in.
    pub fn agreement(&self, role: Role) -> Agreement {
        let mut agreement = Agreement::plain(role);
        agreement.deflate = self.deflate;
        if self.extended == Extended::Yes {
            let numbered = AgreedExtension::new(Arc::new(Numbered), Parameters::default());
            agreement.extensions.push(numbered);
        }
        agreement
    }

    /// The settings of `role`.
    pub fn config(&self, role: Role) -> &Arc<Config> {
        match role {
            Role::Client => &self.configs[0],
            Role::Server => &self.configs[1],
        }
    }
}

fn config(digits: &mut Digits) -> Config {
    let mut config = Config::default();
    config.send_buffer = digits.choose([64 << 10, 16, 200]);
    config.receive_buffer = digits.choose([64 << 10, 1, 300]);
    config.fragment_size = digits.choose([1 << 20, 3, 50]);
    config.unconfirmed = digits.choose([Unconfirmed::Dropped, Unconfirmed::Kept]);
    config.delivery = digits.choose([Delivery::Whole, Delivery::Parts]);
    config.max_message_size = digits.choose([1 << 20, 1 << 20, 1 << 20, 40]);
    config.max_frame_size = digits.choose([1 << 20, 1 << 20, 1 << 20, 20]);
    config.max_fragments = digits.choose([None, None, None, Some(2)]);
    config.max_discard = digits.choose([16 << 20, 10]);
    config.ping_interval = digits.choose([Some(Duration::from_secs(20)), None]);
    config.ping_timeout = digits.choose([Some(Duration::from_secs(20)), None]);
    config.write_timeout = digits.choose([Some(Duration::from_secs(30)), None]);
    config.idle_timeout = digits.choose([None, None, Some(Duration::from_secs(50))]);
    config.close_timeout = digits.choose([Duration::from_secs(10), Duration::ZERO]);
    config.linger = digits.choose([Duration::from_secs(1), Duration::from_secs(60)]);
    let mut deflate = DeflateConfig::default();
    deflate.threshold = digits.choose([128, 0]);
    config.deflate = Some(deflate);
    config
}

/// How many setups there are without extensions.
const PLAIN: u64 = 1 << 54;

/// A number, taken apart into choices.
struct Digits(u64);

impl Digits {
    fn choose<T: Clone, const N: usize>(&mut self, from: [T; N]) -> T {
        let choice = (self.0 % N as u64) as usize;
        self.0 /= N as u64;
        from[choice].clone()
    }
}
