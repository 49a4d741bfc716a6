//! What can be typed at the prompt beside messages: lines that begin with a slash.

use std::path::PathBuf;

use lastword::CloseCode;

/// A line of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send a text message.
    Say(String),
    /// Send a ping, and tell how long its answer took.
    Ping(String),
    /// Send a pong that nobody asked for.
    Pong(String),
    /// Send the content of a file as a binary message.
    Binary(PathBuf),
    /// Send these bytes as a binary message.
    Hex(Vec<u8>),
    /// Close, and leave.
    Close(CloseCode, String),
    /// Show the request and its answer.
    Headers,
    /// Show what was counted.
    Stats,
    /// Show what can be typed.
    Help,
}

/// The names that can be completed, and what follows them.
pub(super) const COMMANDS: [(&str, &str, &str); 9] = [
    ("/ping", "[TEXT]", "send a ping, and tell how long its answer took"),
    ("/pong", "[TEXT]", "send a pong that nobody asked for"),
    ("/binary", "FILE", "send the content of a file as a binary message"),
    ("/hex", "BYTES", "send bytes as a binary message, as in /hex 00 ff"),
    ("/close", "[CODE [REASON]]", "close, with 1000 if nothing else is said"),
    ("/headers", "", "show the request and its answer"),
    ("/stats", "", "show what was sent, read by the peer, and received"),
    ("/help", "", "show this"),
    ("//", "TEXT", "send a message that begins with a slash"),
];

impl Command {
    /// What a line means.
    ///
    /// # Errors
    /// What was expected instead.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let Some(command) = line.strip_prefix('/') else { return Ok(Self::Say(line.to_owned())) };
        if command.starts_with('/') {
            return Ok(Self::Say(command.to_owned()));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "ping" => Ok(Self::Ping(rest.to_owned())),
            "pong" => Ok(Self::Pong(rest.to_owned())),
            "binary" if rest.is_empty() => Err("expected /binary FILE".to_owned()),
            "binary" => Ok(Self::Binary(rest.into())),
            "hex" => bytes(rest).map(Self::Hex),
            "close" | "quit" | "exit" => close(rest),
            "headers" => Ok(Self::Headers),
            "stats" => Ok(Self::Stats),
            "help" | "?" => Ok(Self::Help),
            _ => Err(format!(
                "/{name} is no command; /help lists them, and //{name} sends \"/{name}\""
            )),
        }
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|_| "expected pairs of hexadecimal digits, as in /hex 00 ff".to_owned())
}

fn close(rest: &str) -> Result<Command, String> {
    let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if code.is_empty() {
        return Ok(Command::Close(CloseCode::NORMAL, String::new()));
    }
    let wrong = || {
        "expected /close [CODE [REASON]], with 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999"
            .to_owned()
    };
    let code: u16 = code.parse().map_err(|_| wrong())?;
    let code = CloseCode::try_from(code).map_err(|_| wrong())?;
    Ok(Command::Close(code, reason.trim().to_owned()))
}

/// What can be typed, as a table.
pub(super) fn help() -> String {
    let mut lines =
        vec!["Each line is sent as a text message; a line that ends with \\ goes on.".to_owned()];
    lines.extend(COMMANDS.iter().map(|(name, arguments, what)| {
        let synopsis =
            if *name == "//" { "//TEXT".to_owned() } else { format!("{name} {arguments}") };
        format!("  {synopsis:<24}{what}")
    }));
    lines.push("Ctrl-D closes.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_unless_they_begin_with_one_slash() {
        let code = |code| CloseCode::try_from(code).unwrap();
        for (line, expected) in [
            ("hi", Command::Say("hi".into())),
            ("", Command::Say(String::new())),
            ("//etc", Command::Say("/etc".into())),
            ("/ping", Command::Ping(String::new())),
            ("/ping  a b ", Command::Ping("a b".into())),
            ("/hex 00 fF", Command::Hex(vec![0, 255])),
            ("/hex", Command::Hex(vec![])),
            ("/binary a b.bin", Command::Binary("a b.bin".into())),
            ("/close", Command::Close(code(1000), String::new())),
            ("/close 4000 so long", Command::Close(code(4000), "so long".into())),
            ("/stats", Command::Stats),
            ("/?", Command::Help),
        ] {
            assert_eq!(Command::parse(line).as_ref(), Ok(&expected), "{line:?}");
        }
        for (line, needle) in [
            ("/etc", "//etc sends"),
            ("/close 1006", "3000 to 4999"),
            ("/close now", "[CODE [REASON]]"),
            ("/binary", "FILE"),
            ("/hex 0", "pairs"),
        ] {
            assert!(Command::parse(line).unwrap_err().contains(needle), "{line:?}");
        }
    }

    #[test]
    fn all_that_is_listed_is_understood() {
        for (name, arguments, _) in COMMANDS {
            let example = match arguments {
                "FILE" => "x",
                "BYTES" => "00",
                _ => "",
            };
            assert!(Command::parse(&format!("{name} {example}")).is_ok(), "{name}");
        }
    }
}
