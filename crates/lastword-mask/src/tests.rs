use proptest::prelude::*;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Section 5.3, word for word: "octet i of the transformed data is the XOR of octet i of the
/// original data with octet at index i modulo 4 of the masking key".
fn masked(key: [u8; 4], offset: usize, payload: &[u8]) -> Vec<u8> {
    payload.iter().enumerate().map(|(i, byte)| byte ^ key[(offset % 4 + i) % 4]).collect()
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 151 + i / 251) as u8).collect()
}

#[test]
fn every_length_alignment_and_offset_masks_as_the_rfc_says() {
    #[repr(align(64))]
    struct Aligned([u8; 400]);
    for length in 0..=300 {
        let plain = payload(length);
        for offset in 0..4 {
            let expected = masked(KEY, offset, &plain);
            for alignment in 0..32 {
                let place = alignment..alignment + length;
                let at = || format!("length {length}, alignment {alignment}, offset {offset}");
                let check = |name: &str, mask: &dyn Fn(&mut [u8])| {
                    let mut buffer = Aligned([0xa5; 400]);
                    mask(&mut buffer.0[place.clone()]);
                    assert_eq!(buffer.0[place.clone()], expected, "{name}, {}", at());
                    let outside = buffer.0[..place.start].iter().chain(&buffer.0[place.end..]);
                    assert!(outside.copied().all(|b| b == 0xa5), "{name} strays, {}", at());
                };
                let pattern = Pattern::starting_at(KEY, offset);
                check("apply", &|it| {
                    it.copy_from_slice(&plain);
                    apply(KEY, offset, it);
                });
                check("the safe twin", &|it| {
                    it.copy_from_slice(&plain);
                    apply_narrow(pattern, it);
                });
                check("the wide one", &|it| {
                    it.copy_from_slice(&plain);
                    if !wide::apply(pattern, it) {
                        apply_narrow(pattern, it);
                    }
                });
                let check = |name: &str, append: &dyn Fn(&[u8], &mut Vec<u8>)| {
                    let mut buffer = Aligned([0xa5; 400]);
                    buffer.0[place.clone()].copy_from_slice(&plain);
                    // The vector's own alignment varies with what stands before.
                    let mut appended = vec![1; alignment];
                    append(&buffer.0[place.clone()], &mut appended);
                    let (before, behind) = appended.split_at(alignment);
                    assert!(before.iter().all(|&b| b == 1), "{name} strays, {}", at());
                    assert_eq!(behind, expected, "{name}, {}", at());
                };
                check("append", &|from, to| append(KEY, offset, from, to));
                check("the safe twin of append", &|from, to| {
                    fresh::append(from.len(), to, |room| copy_narrow(pattern, from, room));
                });
                check("the wide append", &|from, to| {
                    fresh::append(from.len(), to, |room| {
                        if !wide::copy(pattern, from, room) {
                            copy_narrow(pattern, from, room);
                        }
                    });
                });
            }
        }
    }
}

#[test]
fn the_highest_offsets_do_not_overflow() {
    for offset in [usize::MAX - 3, usize::MAX - 2, usize::MAX - 1, usize::MAX] {
        let mut bytes = payload(37);
        apply(KEY, offset, &mut bytes);
        assert_eq!(bytes, masked(KEY, offset, &payload(37)));
    }
}

proptest! {
    #[test]
    fn masking_twice_gives_the_bytes_back(
        key: [u8; 4], offset: usize, plain in prop::collection::vec(any::<u8>(), 0..10_000),
    ) {
        let mut bytes = plain.clone();
        apply(key, offset, &mut bytes);
        prop_assert_eq!(&bytes, &masked(key, offset, &plain));
        apply(key, offset, &mut bytes);
        prop_assert_eq!(&bytes, &plain);
    }

    #[test]
    fn pieces_masked_one_by_one_are_the_whole_masked_at_once(
        key: [u8; 4],
        offset in 0_usize..1 << 40,
        plain in prop::collection::vec(any::<u8>(), 0..10_000),
        cut: prop::sample::Index,
    ) {
        let whole = masked(key, offset, &plain);
        let (a, b) = plain.split_at(cut.index(plain.len() + 1));

        let mut applied = plain.clone();
        apply(key, offset, &mut applied[..a.len()]);
        apply(key, offset + a.len(), &mut applied[a.len()..]);
        prop_assert_eq!(&applied, &whole);

        let mut appended = Vec::new();
        append(key, offset, a, &mut appended);
        append(key, offset + a.len(), b, &mut appended);
        prop_assert_eq!(&appended, &whole);
    }
}
