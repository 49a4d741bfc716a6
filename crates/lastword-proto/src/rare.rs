//! Room for what is mostly not there: a value that takes up memory only while it is not blank.
//!
//! An idle connection is many things that it might need and does not. Reading a blank one costs
//! nothing; whoever changes it says so, and then it has a box of its own.

use std::fmt;
use std::ops::Deref;

/// A value that is mostly blank, in the room of a pointer.
#[derive(Clone, Default)]
pub(crate) struct Rare<T>(Option<Box<T>>);

/// What a value is when nobody has touched it.
pub(crate) trait Blank: Sized + 'static {
    const BLANK: &'static Self;

    /// The same, to be changed.
    fn blank() -> Self;
}

impl<T: Blank> Rare<T> {
    pub(crate) const fn blank() -> Self {
        Self(None)
    }

    /// The value, to be changed.
    pub(crate) fn make(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::blank()))
    }

    /// The value, to be changed if it was touched before.
    pub(crate) fn touched(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Blank again, and without memory; gives what it was.
    pub(crate) fn take(&mut self) -> T {
        self.0.take().map_or_else(T::blank, |value| *value)
    }
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::BLANK)
    }
}

/// A blank one looks alike, whether it has room or not.
impl<T: Blank + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
