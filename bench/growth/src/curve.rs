//! What a curve is, and what is counted of a point of it.

use allocation_counter::AllocationInfo;

/// One kind of work, in many sizes.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What a point is named by, such as "bytes in a message".
    pub(crate) x: &'static str,
    /// What the cost may grow with, such as "byte".
    pub(crate) unit: &'static str,
    /// The points that say what the work costs, and those that are held against them.
    pub(crate) small: Vec<usize>,
    pub(crate) large: Vec<usize>,
    /// Further ones for the long form.
    pub(crate) long: Vec<usize>,
    pub(crate) run: fn(usize) -> Done,
}

/// A point of a curve, when it is done.
pub(crate) struct Done {
    /// How much work it was, in units of the curve.
    pub(crate) units: usize,
    /// How many bytes crossed the wire, or would have.
    pub(crate) bytes: usize,
    pub(crate) allocated: AllocationInfo,
}

/// Does `work` and counts. A growing buffer counts as a new one that the old one is copied to:
/// whether an allocator could have grown it in its place is luck.
pub(crate) fn count(units: usize, bytes: usize, work: impl FnOnce()) -> Done {
    let mut work = Some(work);
    let mut once = || {
        if let Some(work) = work.take() {
            work();
        }
    };
    let allocated = allocation_counter::measure(|| told(&mut once));
    Done { units, bytes, allocated }
}

/// Behind this, callgrind writes down what it counted.
#[inline(never)]
fn told(work: &mut dyn FnMut()) {
    counted(work);
    // Keeps the call from becoming a jump, behind which no end is seen.
    std::hint::black_box(());
}

/// What callgrind counts the instructions of.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(());
}
