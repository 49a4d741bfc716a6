//! What `completions` and `man` can be told.

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Whose language the script is in.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Of this subcommand, instead of all.
    pub(crate) subcommand: Option<String>,
}

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  lastword completions bash > ~/.local/share/bash-completion/completions/lastword
  lastword completions zsh > ~/.zfunc/_lastword
  lastword completions fish > ~/.config/fish/completions/lastword.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  lastword man > lastword.1
  lastword man connect | man -l -";
