//! What the simulator found, each as the short schedule that showed it. The name says what was wrong
//! before; every rule holds now.

use lastword_sim::script::Script;

#[track_caller]
fn holds(script: &str) {
    let script: Script = script.parse().unwrap();
    if let Err(broken) = script.play() {
        panic!("{broken}");
    }
}

#[test]
fn a_part_of_a_message_was_counted_as_a_message() {
    holds("setup 5882393806826305\n0 send 127\ncalm");
}

#[test]
fn a_flood_behind_a_violation_hid_the_violation() {
    holds("setup 3227092939023586\n3 send 169\n1 send 199\n3 turn\n2 turn\nsilence");
}

#[test]
fn a_message_that_is_being_cut_into_frames_was_counted_twice_as_waiting() {
    holds("setup 15822604371688616\n2 send 71\ncalm");
}

/// The founding lie of this list: `send_confirmed` could return before the message was read.
#[test]
fn a_ping_that_overtook_a_confirmation_confirmed_it() {
    holds("setup 4046870280947210\n0 send 104\n2 confirm\n2 ping\ncalm");
}

#[test]
fn a_message_by_parts_had_a_hole_when_the_buffer_was_full_in_a_closing() {
    holds("setup 3975144178999381\n1 send 116\ncalm");
}

#[test]
fn the_row_of_messages_had_a_hole_when_the_buffer_was_full_in_a_closing() {
    holds("setup 9002733260185862\n1 send 163\n2 close 201\n3 send 194\n3 turn\ncalm");
}

#[test]
fn our_half_was_called_finished_when_finishing_it_had_failed() {
    holds(
        "setup 14547700656480139\n3 send 209\n3 write 92\n0 read 6\n0 write 253\n1 turn\nsilence",
    );
}

#[test]
fn an_empty_last_part_did_not_reset_the_compressor() {
    holds(
        "setup 7961092858691072\n2 part 35\n0 write 255\n0 last-part 205\n0 send 21\n2 write 199\n\
         3 read 255\nsilence",
    );
}

#[test]
fn a_ping_followed_our_close_frame() {
    holds(
        "setup 16152907682677202\n1 ping\n1 turn\n0 send 30\n2 turn\n0 ping\n0 close 155\n\
         2 cut 156\nsilence",
    );
    holds(
        "setup 13030587997684377\n1 ping\n3 part 184\n3 turn\n2 ping\n0 turn\n1 turn\n2 turn\n\
         3 turn\n2 turn\n1 turn\n1 ping\n2 read 255\n3 write 255\n1 shutdown\n0 stall\n2 turn\n\
         3 turn\ncalm",
    );
}

#[test]
fn a_peer_that_fell_silent_after_a_violation_hid_the_violation_and_left_a_timer_behind() {
    holds(
        "setup 13182282836961521\n2 send 168\n3 wait\n2 write 255\n0 corrupt 181\n1 read 255\n\
         2 send 5\n0 turn\n1 turn\n0 wait\n3 turn\ncalm",
    );
}

/// A pong that answers nothing may look like the answer to a ping whose data the application chose.
#[test]
fn a_pong_that_nobody_asked_for_confirmed_messages_by_its_looks() {
    holds(
        "setup 4450929070160224\n3 send 70\n1 write 255\n3 send-prepared 15\n0 turn\n1 turn\n\
         3 ping-with 188\n0 pong 136\ncalm",
    );
}

#[test]
fn an_empty_first_part_behind_a_message_for_many_was_compressed_with_a_past_that_the_peer_had_not()
{
    holds(
        "setup 11725078659996863\n1 send 150\n1 send-prepared 143\n1 part 109\n1 turn\n0 turn\n\
         1 turn\n0 turn\n0 fetch 255\n1 part 212\n1 turn\n0 read 121\n0 take-part\ncalm",
    );
}
