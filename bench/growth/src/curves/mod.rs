//! All curves: what has to cost in proportion, whatever its size.

mod compressing;
mod opening;
mod pinging;
mod receiving;
mod sending;

use crate::curve::Curve;

pub(crate) fn all() -> Vec<Curve> {
    let mut curves = receiving::curves();
    curves.extend(sending::curves());
    curves.extend(pinging::curves());
    curves.extend(compressing::curves());
    curves.extend(opening::curves());
    curves
}

/// From `first` to `last`, each four times as large as the one before.
pub(crate) fn fourfold(first: usize, last: usize) -> Vec<usize> {
    std::iter::successors(Some(first), |x| Some(x * 4)).take_while(|&x| x <= last).collect()
}
