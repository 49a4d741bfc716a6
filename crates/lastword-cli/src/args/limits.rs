//! How much a peer may send and how long it may be silent: what both who connects and who serves can be
//! told.

use lastword::Config;

use super::values::{Wait, at_least_a_byte, wait_or_off};

pub(super) const LIMITS: &str = "Limits";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// Neither offer nor accept compression.
    #[arg(long, help_heading = LIMITS)]
    pub(super) no_compression: bool,
    /// Refuse larger messages; 16M without it.
    #[arg(long, value_name = "SIZE", value_parser = at_least_a_byte, help_heading = LIMITS)]
    pub(super) max_message_size: Option<usize>,
    /// Send a ping after so long, or "off"; 20 without it.
    #[arg(long, value_name = "SECONDS", value_parser = wait_or_off, help_heading = LIMITS)]
    pub(super) ping_interval: Option<Wait>,
    /// Give the peer up when a ping is not answered for so long, or "off"; 20 without it.
    #[arg(long, value_name = "SECONDS", value_parser = wait_or_off, help_heading = LIMITS)]
    pub(super) ping_timeout: Option<Wait>,
}

impl LimitArgs {
    /// The defaults, but for what was said.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::default();
        if self.no_compression {
            config.deflate = None;
        }
        if let Some(limit) = self.max_message_size {
            config.max_message_size = limit;
            config.max_frame_size = limit.max(config.max_frame_size);
        }
        if let Some(wait) = self.ping_interval {
            config.ping_interval = wait.into();
        }
        if let Some(wait) = self.ping_timeout {
            config.ping_timeout = wait.into();
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_help_says_of_defaults_is_so() {
        let config = Config::default();
        assert_eq!(config.max_message_size, 16 << 20);
        let times = [config.ping_interval, config.ping_timeout];
        assert_eq!(times, [Some(Duration::from_secs(20)); 2]);
        let times = [config.open_timeout, config.close_timeout];
        assert_eq!(times, [Duration::from_secs(10); 2]);
    }
}
