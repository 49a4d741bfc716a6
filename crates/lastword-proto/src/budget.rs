//! Memory that many connections share: how much of it their messages take up.
//!
//! Counted in large steps, so that small messages never touch what all share. Decides nothing: the
//! connection asks, and knows what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes the messages of all connections may take up that have this budget, or a clone of it,
/// as their [`Config::memory_budget`](crate::Config::memory_budget).
///
/// Counted are unfinished messages, received ones that wait for the application, and sent ones that
/// wait for the peer; of each connection what exceeds [`Budget::STEP`].
///
/// ```
/// use lastword_proto::{Budget, Config};
/// let budget = Budget::new(1 << 30);
/// let mut config = Config::default();
/// config.memory_budget = Some(budget.clone());
/// assert_eq!(budget.used(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Budget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// What a connection holds is counted in steps of so many bytes, 64 KiB; what it holds below the
    /// first step is always granted, and not counted.
    pub const STEP: usize = 64 << 10;

    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Pool { limit, used: AtomicUsize::new(0) }))
    }

    /// How many bytes it is.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many bytes are used now; more than [`Self::limit`] by what was on its way when it was
    /// reached.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether nothing is left.
    pub fn is_exhausted(&self) -> bool {
        self.used() >= self.limit()
    }
}

/// Two are equal if they are the same.
impl PartialEq for Budget {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What one connection uses of a budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    counted: usize,
}

impl Share {
    pub(crate) const fn of(budget: Budget) -> Self {
        Self { budget, counted: 0 }
    }

    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.counted == 0
    }

    /// The connection holds `held` bytes now; gives whether that is a step more than before.
    pub(crate) fn count(&mut self, held: usize) -> Growth {
        let used = &self.budget.0.used;
        // A step up and a step down are a step apart, so that nobody dances on the line.
        if held >= self.counted.saturating_add(Budget::STEP) {
            let more = whole_steps(held).saturating_sub(self.counted);
            used.fetch_add(more, Ordering::Relaxed);
            self.counted = self.counted.saturating_add(more);
            return Growth::Grew;
        }
        if held.saturating_add(Budget::STEP) <= self.counted {
            let less = self.counted.saturating_sub(whole_steps(held));
            used.fetch_sub(less, Ordering::Relaxed);
            self.counted = self.counted.saturating_sub(less);
        }
        Growth::None
    }
}

/// Whether a connection has taken more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    None,
    Grew,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

const fn whole_steps(bytes: usize) -> usize {
    bytes.saturating_sub(bytes % Budget::STEP)
}
