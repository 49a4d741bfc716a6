//! What was measured, against what was promised.

use std::fmt::Display;
use std::process::ExitCode;

/// Prints each figure as it comes, and remembers whether one broke its bound.
#[derive(Debug, Default)]
pub(crate) struct Report {
    broken: usize,
}

impl Report {
    pub(crate) fn title(&self, title: &str) {
        println!("\n{title}");
    }

    /// A figure that has no bound.
    pub(crate) fn tell(&self, what: &str, figure: impl Display) {
        println!("  {what:<44} {figure:>14}");
    }

    /// A figure that has to be at most `bound`.
    pub(crate) fn at_most<T: Display + PartialOrd>(&mut self, what: &str, figure: T, bound: T) {
        let holds = figure <= bound;
        println!("  {what:<44} {figure:>14}   at most {bound:>10}   {}", word(holds));
        self.broken += usize::from(!holds);
    }

    /// A figure that has to be `expected`.
    pub(crate) fn exactly<T: Display + PartialEq>(&mut self, what: &str, figure: T, expected: T) {
        let holds = figure == expected;
        println!("  {what:<44} {figure:>14}   exactly {expected:>10}   {}", word(holds));
        self.broken += usize::from(!holds);
    }

    pub(crate) fn conclude(&self) -> ExitCode {
        match self.broken {
            0 => println!("\nall held"),
            broken => println!("\n{broken} did not hold"),
        }
        ExitCode::from(u8::from(self.broken > 0))
    }
}

const fn word(holds: bool) -> &'static str {
    if holds { "ok" } else { "BROKEN" }
}
