//! `lastword` on the command line.

fn main() {}
