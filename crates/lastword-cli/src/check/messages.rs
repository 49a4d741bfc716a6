//! From frames to messages: put together, inflated, and looked through for what no server may send.

use std::time::Duration;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};

use super::wire::{self, Came, Mask};

/// The messages of a connection.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Opcode and content.
    pub(super) messages: Vec<(u8, Vec<u8>)>,
    /// What cannot be put together, in words.
    pub(super) fault: Option<String>,
}

/// Puts messages together, as far as that is possible.
pub(super) fn gather(frames: &[(Duration, Came)]) -> Gathered {
    let mut gathered = Gathered::default();
    let mut begun: Option<(u8, Vec<u8>)> = None;
    let mut inflater = InflateState::new_boxed(DataFormat::Raw);
    for (_, came) in frames.iter().filter(|(_, came)| !came.is_control()) {
        let (first, mut content) = begun.take().unwrap_or((came.first, Vec::new()));
        content.extend_from_slice(&came.payload);
        if !came.is_last() {
            begun = Some((first, content));
            continue;
        }
        if first & wire::RSV1 != 0 {
            match inflated(&mut inflater, content) {
                Some(inflated) => content = inflated,
                None => {
                    gathered.fault = Some("what came back cannot be inflated".to_owned());
                    return gathered;
                }
            }
        }
        gathered.messages.push((first & 0x0F, content));
    }
    gathered
}

/// The content of a compressed message (RFC 7692 section 7.2.2).
fn inflated(state: &mut InflateState, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    bytes.extend(TAIL);
    let mut content = Vec::new();
    let mut block = vec![0; BLOCK];
    let mut rest = &bytes[..];
    loop {
        let step = inflate(state, rest, &mut block, MZFlush::Sync);
        rest = &rest[step.bytes_consumed..];
        content.extend_from_slice(&block[..step.bytes_written]);
        if content.len() > MOST {
            return None;
        }
        match step.status {
            _ if rest.is_empty() && step.bytes_written < block.len() => return Some(content),
            Ok(_) if step.bytes_consumed + step.bytes_written > 0 => {}
            _ => return None,
        }
    }
}

/// What a compressor leaves out at the end.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
const BLOCK: usize = 16 << 10;
/// More than any probe sends.
const MOST: usize = 1 << 20;

/// What no server may send (RFC 6455 sections 5.1, 5.2, 5.4 and 5.5), each once.
pub(super) fn faults(frames: &[(Duration, Came)]) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut within = false;
    for (_, came) in frames {
        let opcode = came.opcode();
        let found = [
            (came.mask == Mask::Yes, "masked frames"),
            (!came.shortest, "lengths in a longer form than needed"),
            (came.first & RESERVED != 0, "frames with reserved bits"),
            (matches!(opcode, 0x3..=0x7 | 0xB..), "reserved opcodes"),
            (came.is_control() && !came.is_last(), "control frames in fragments"),
            (came.is_control() && came.length > 125, "control frames of more than 125 bytes"),
            (!came.is_control() && (opcode == wire::MORE) != within, "fragments out of order"),
        ];
        if !came.is_control() {
            within = !came.is_last();
        }
        for (_, fault) in found.iter().filter(|(is_there, _)| *is_there) {
            if !faults.contains(fault) {
                faults.push(fault);
            }
        }
    }
    faults
}

/// Bits that mean nothing without an extension.
const RESERVED: u8 = 0x70;
