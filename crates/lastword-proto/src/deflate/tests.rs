//! Each side against an independent codec (`miniz_oxide`), against itself, and against nonsense.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn direction(window_bits: u8, takeover: ContextTakeover) -> DeflateDirection {
    DeflateDirection { window_bits, takeover }
}

fn pair(bits: u8, takeover: ContextTakeover) -> (Deflate, Deflate) {
    let agreement =
        DeflateAgreement { client: direction(bits, takeover), server: direction(bits, takeover) };
    let config = DeflateConfig::default();
    let new = |role| Deflate::new(role, agreement, &config);
    (new(Role::Client), new(Role::Server))
}

fn compress(codec: &mut Deflate, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(codec.compress(plain, Compression::Always, &mut out), Compressed::Yes);
    out
}

fn decompress(codec: &mut Deflate, wire: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    codec.inflate(wire, &mut out, limit)?;
    codec.finish_message(&mut out, limit)?;
    Ok(out.to_vec())
}

/// Half alike, half noise, so that every size compresses somewhat.
fn sample(size: usize) -> Vec<u8> {
    (0..size).map(|i| if i % 2 == 0 { b'a' } else { (i * i / 7) as u8 }).collect()
}

#[test]
fn messages_of_all_sizes_come_back_with_every_window_and_takeover() {
    for bits in 9..=15 {
        for takeover in [ContextTakeover::Kept, ContextTakeover::None] {
            let (mut client, mut server) = pair(bits, takeover);
            for size in [0, 0, 1, 2, 100, 100, 511, 4096, 40_000, 200_000, 0, 3] {
                let plain = sample(size);
                let wire = compress(&mut client, &plain);
                assert_eq!(decompress(&mut server, &wire, LIMIT).unwrap(), plain);
                let wire = compress(&mut server, &plain);
                assert_eq!(decompress(&mut client, &wire, LIMIT).unwrap(), plain);
            }
        }
    }
}

#[test]
fn an_empty_message_is_one_octet_however_often() {
    let (mut client, mut server) = pair(15, ContextTakeover::Kept);
    for _ in 0..3 {
        assert_eq!(compress(&mut client, b""), [0]);
    }
    // What peers send for nothing: the octet, an empty fixed block with it, or nothing.
    for wire in [&[0][..], &[0], &[0x02, 0x00], &[], &[]] {
        assert_eq!(decompress(&mut server, wire, LIMIT).unwrap(), b"");
    }
    let wire = compress(&mut client, b"still in step");
    assert_eq!(decompress(&mut server, &wire, LIMIT).unwrap(), b"still in step");
}

#[test]
fn the_samples_of_the_rfc_are_read() {
    let hello: [&[u8]; 5] = [
        // 7.2.3.1, a second message with takeover (7.2.3.2), without compression (7.2.3.3), with a
        // final block (7.2.3.4), in two blocks (7.2.3.5).
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ];
    let (_, mut server) = pair(15, ContextTakeover::Kept);
    for wire in hello {
        assert_eq!(decompress(&mut server, wire, LIMIT).unwrap(), b"Hello", "{wire:x?}");
    }
}

#[test]
fn a_stream_that_ends_in_a_final_block_without_more_is_read() {
    let (_, mut server) = pair(15, ContextTakeover::Kept);
    for _ in 0..2 {
        let wire = miniz_oxide::deflate::compress_to_vec(b"final and nothing behind", 6);
        let plain = decompress(&mut server, &wire, LIMIT).unwrap();
        assert_eq!(plain, b"final and nothing behind");
    }
}

#[test]
fn the_limit_holds_to_the_byte_and_in_memory() {
    let plain = vec![b'x'; 100_000];
    for limit in [0, 1, 99_999, 100_000, 100_001] {
        let (mut client, mut server) = pair(15, ContextTakeover::Kept);
        let wire = compress(&mut client, &plain);
        let mut out = Vec::new();
        let result = server.inflate(&wire, &mut out, limit);
        let result = result.and_then(|()| server.finish_message(&mut out, limit));
        let expected = if limit < plain.len() { Err(InflateError::TooBig) } else { Ok(()) };
        assert_eq!(result, expected, "limit {limit}");
        assert!(out.len() <= limit);
    }
}

#[test]
fn a_bomb_costs_no_more_memory_than_the_limit_allows() {
    let (mut client, mut server) = pair(15, ContextTakeover::Kept);
    let wire = compress(&mut client, &vec![0; 64 << 20]);
    assert!(wire.len() < 1 << 20);
    let mut out = Vec::new();
    assert_eq!(server.inflate(&wire, &mut out, 4096), Err(InflateError::TooBig));
    assert!(out.capacity() <= 4096 + MAX_STEP);
}

#[test]
fn garbage_behind_a_final_block_is_refused() {
    let (_, mut server) = pair(15, ContextTakeover::Kept);
    let mut wire = miniz_oxide::deflate::compress_to_vec(b"end", 6);
    wire.extend([0xff; 8]);
    assert_eq!(decompress(&mut server, &wire, LIMIT), Err(InflateError::Broken));
}

#[test]
fn small_messages_stay_plain_and_the_switch_of_a_message_counts() {
    let mut out = Vec::new();
    let (mut kept, _) = pair(15, ContextTakeover::Kept);
    let threshold = DeflateConfig::default().threshold;
    let check = |codec: &mut Deflate, size: usize, switch, expected| {
        let mut out = Vec::new();
        assert_eq!(codec.compress(&vec![b'a'; size], switch, &mut out), expected, "{size}");
    };
    check(&mut kept, threshold - 1, Compression::Auto, Compressed::No);
    check(&mut kept, threshold, Compression::Auto, Compressed::Yes);
    check(&mut kept, 1, Compression::Always, Compressed::Yes);
    check(&mut kept, 10_000, Compression::Never, Compressed::No);
    let (mut alone, _) = pair(15, ContextTakeover::None);
    check(&mut alone, WORTH_ALONE - 1, Compression::Auto, Compressed::No);
    check(&mut alone, WORTH_ALONE, Compression::Auto, Compressed::Yes);
    // Noise does not shrink; alone it goes as it is.
    let noise: Vec<u8> =
        (0..2000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let noise: Vec<u8> =
        noise.iter().zip(noise.iter().rev()).map(|(a, b)| a ^ b.rotate_left(3)).collect();
    if alone.compress(&noise, Compression::Auto, &mut out) == Compressed::No {
        assert!(out.is_empty());
    }
}

proptest! {
    #[test]
    fn an_independent_codec_reads_what_we_write(
        messages in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..3000), 1..6),
        bits in 9_u8..=15,
    ) {
        let (mut client, _) = pair(bits, ContextTakeover::Kept);
        let mut theirs = InflateState::new_boxed(DataFormat::Raw);
        for plain in messages {
            let mut wire = compress(&mut client, &plain);
            wire.extend(TAIL);
            let mut out = vec![0; plain.len() + 64];
            let result = inflate(&mut theirs, &wire, &mut out, MZFlush::Sync);
            prop_assert_eq!(&out[..result.bytes_written], &plain[..]);
        }
    }

    #[test]
    fn parts_and_pieces_cut_anywhere_make_the_same_message(
        plain in proptest::collection::vec(0_u8..8, 0..4000),
        cuts in proptest::collection::vec(0_usize..4000, 0..4),
        piece in 1_usize..50,
    ) {
        let (mut client, mut server) = pair(12, ContextTakeover::Kept);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(plain.len())).collect();
        cuts.extend([0, plain.len()]);
        cuts.sort_unstable();
        let mut wire = Vec::new();
        let last = cuts.len() - 2;
        for (index, ends) in cuts.windows(2).enumerate() {
            let position = if index == last { Position::Last } else { Position::Middle };
            client.compress_part(&plain[ends[0]..ends[1]], position, &mut wire);
        }
        let mut out = Vec::new();
        for piece in wire.chunks(piece) {
            server.inflate(piece, &mut out, LIMIT).unwrap();
        }
        server.finish_message(&mut out, LIMIT).unwrap();
        prop_assert_eq!(&out[..], &plain[..]);
    }

    #[test]
    fn no_bytes_panic_spin_or_exceed_the_limit(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..4),
        limit in 0_usize..5000,
    ) {
        let (_, mut server) = pair(15, ContextTakeover::Kept);
        for wire in messages {
            let mut out = Vec::new();
            let result = server.inflate(&wire, &mut out, limit);
            prop_assert!(out.len() <= limit);
            if result.and_then(|()| server.finish_message(&mut out, limit)).is_err() {
                break;
            }
            prop_assert!(out.len() <= limit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Either side may sleep between any two messages, and the other never notices.
    #[test]
    fn a_codec_that_sleeps_between_messages_is_not_missed(
        bits in 9_u8..=15,
        talk in prop::collection::vec((0_usize..9000, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let (mut client, mut server) = pair(bits, ContextTakeover::Kept);
        for (size, client_sleeps, server_sleeps) in talk {
            let plain = sample(size);
            let wire = compress(&mut client, &plain);
            prop_assert_eq!(decompress(&mut server, &wire, LIMIT).unwrap(), plain);
            if client_sleeps {
                client.hibernate();
            }
            if server_sleeps {
                server.hibernate();
            }
        }
    }
}

#[test]
fn what_was_said_before_a_sleep_still_makes_messages_small() {
    let (mut client, mut server) = pair(12, ContextTakeover::Kept);
    let noise =
        (0..2000_u32).flat_map(|i| i.wrapping_mul(i).wrapping_mul(2_654_435_761).to_le_bytes());
    let plain = &noise.take(2000).collect::<Vec<_>>();
    let first = compress(&mut client, plain);
    decompress(&mut server, &first, LIMIT).unwrap();
    client.hibernate();
    server.hibernate();
    let second = compress(&mut client, plain);
    assert!(second.len() < 100 && first.len() > 1500, "{} then {}", first.len(), second.len());
    assert_eq!(&decompress(&mut server, &second, LIMIT).unwrap(), plain);
}

#[test]
fn nobody_sleeps_in_the_middle_of_a_message() {
    let (mut client, mut server) = pair(12, ContextTakeover::Kept);
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    for position in [Position::Middle, Position::Last] {
        wire.clear();
        client.compress_part(b"the same words in both parts", position, &mut wire);
        client.hibernate();
        server.inflate(&wire, &mut plain, LIMIT).unwrap();
        server.hibernate();
    }
    server.finish_message(&mut plain, LIMIT).unwrap();
    assert_eq!(plain, b"the same words in both parts".repeat(2)[..]);
}
