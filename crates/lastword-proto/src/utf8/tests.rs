use proptest::prelude::*;

use super::*;

/// What the standard library says of the bytes so far: how many await their rest, or where it is bad.
fn oracle(bytes: &[u8]) -> Result<usize, InvalidUtf8> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(0),
        Err(e) if e.error_len().is_none() => Ok(bytes.len() - e.valid_up_to()),
        Err(e) => Err(InvalidUtf8 { at: e.valid_up_to() as u64 }),
    }
}

/// Pushes `bytes` up to each of `ends`. Every push must say what is true of all bytes up to there;
/// so a bad byte is refused by the very push that brings it.
#[track_caller]
fn check_cut_at(bytes: &[u8], ends: impl IntoIterator<Item = usize>) {
    let mut validator = Validator::default();
    let mut start = 0;
    for end in ends.into_iter().chain([bytes.len()]) {
        let pushed = validator.push(&bytes[start..end]);
        let expected = oracle(&bytes[..end]);
        match expected {
            Ok(pending) => {
                assert!(pushed.is_ok(), "{bytes:x?} up to {end} from {start}");
                assert_eq!(validator.pending(), pending, "{bytes:x?} up to {end} from {start}");
            }
            Err(error) => {
                assert_eq!(pushed, Err(error), "{bytes:x?} up to {end} from {start}");
                return check_fresh(&validator);
            }
        }
        start = end;
    }
    let at = (bytes.len() - validator.pending()) as u64;
    let expected = if validator.pending() == 0 { Ok(()) } else { Err(InvalidUtf8 { at }) };
    assert_eq!(validator.finish(), expected, "{bytes:x?} ends");
    check_fresh(&validator);
}

#[track_caller]
fn check_fresh(validator: &Validator) {
    assert_eq!((validator.carried, validator.done), (0, 0), "ready for the next text");
}

/// At every set of cuts.
#[track_caller]
fn check_sequence(bytes: &[u8]) {
    for cuts in 0..1_u32 << (bytes.len() - 1) {
        check_cut_at(bytes, (1..bytes.len()).filter(|cut| cuts >> (cut - 1) & 1 == 1));
    }
}

#[test]
fn every_sequence_of_up_to_three_bytes_is_judged_at_its_first_bad_byte() {
    for a in 0..=255 {
        check_sequence(&[a]);
        for b in 0..=255 {
            check_sequence(&[a, b]);
            // Where the first two are settled, the third begins anew: one of each kind will do.
            let open = oracle(&[a, b]).is_ok_and(|pending| pending > 0);
            if open {
                (0..=255).for_each(|c| check_sequence(&[a, b, c]));
            } else {
                [0x41, 0x80, 0xc2, 0xff].iter().for_each(|&c| check_sequence(&[a, b, c]));
            }
        }
    }
}

#[test]
fn every_sequence_of_four_boundary_bytes_is_judged_at_its_first_bad_byte() {
    for a in BOUNDARIES {
        for b in BOUNDARIES {
            for c in BOUNDARIES {
                for d in BOUNDARIES {
                    check_sequence(&[a, b, c, d]);
                }
            }
        }
    }
}

#[test]
#[ignore = "all sixteen million, where the others leave out what cannot differ"]
fn every_sequence_of_three_bytes_whatsoever() {
    for a in 0..=255 {
        for b in 0..=255 {
            (0..=255).for_each(|c| check_sequence(&[a, b, c]));
        }
    }
}

/// The first and last of every class of bytes that RFC 3629 section 4 tells apart.
const BOUNDARIES: [u8; 21] = [
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
    0xef, 0xf0, 0xf3, 0xf4, 0xf5,
];

#[test]
fn whole_texts_of_every_length_are_judged_as_the_standard_library_does() {
    for unit in ["a", "aä", "€", "a𝄞", "ä€𝄞b"] {
        let text = unit.repeat(200);
        for length in 0..=200 {
            let mut bytes = text.as_bytes()[..length].to_vec();
            // A character that is cut by the end is bad in a whole text.
            let up_to = |bytes: &[u8]| match std::str::from_utf8(bytes) {
                Ok(_) => Ok(()),
                Err(e) => Err(InvalidUtf8 { at: e.valid_up_to() as u64 }),
            };
            assert_eq!(Validator::check(&bytes), up_to(&bytes), "{length} of {unit}");
            for place in 0..length {
                for bad in [0x00, 0x80, 0xff] {
                    let good = std::mem::replace(&mut bytes[place], bad);
                    assert_eq!(Validator::check(&bytes), up_to(&bytes), "{bytes:x?}");
                    check_cut_at(&bytes, []);
                    bytes[place] = good;
                }
            }
        }
    }
}

#[test]
fn a_text_cut_at_any_two_points_is_judged_as_a_whole() {
    let good = "aä€𝄞".repeat(12).into_bytes();
    let mut bad = good.clone();
    bad[101] = 0xff;
    for text in [good, bad] {
        for a in 0..=text.len() {
            for b in a..=text.len() {
                check_cut_at(&text, [a, b]);
            }
        }
    }
}

#[test]
fn the_state_is_small() {
    assert!(size_of::<Validator>() <= 16);
}

proptest! {
    #[test]
    fn long_texts_cut_anywhere(text in "\\PC{0,600}", mut cuts: Vec<prop::sample::Index>) {
        check_cut_at(text.as_bytes(), ends(&mut cuts, text.len()));
    }

    #[test]
    fn long_texts_with_bad_bytes_cut_anywhere(
        text in "\\PC{1,600}",
        bad: Vec<(prop::sample::Index, u8)>,
        mut cuts: Vec<prop::sample::Index>,
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in bad {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        check_cut_at(&bytes, ends(&mut cuts, bytes.len()));
    }
}

fn ends(cuts: &mut [prop::sample::Index], length: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    ends.sort_unstable();
    ends
}
