//! All suites, on the driver of the test file.

use lastword_faults::{Driver, suites};

#[track_caller]
fn check(suite: fn(&dyn Driver)) {
    suite(&super::driver());
}

#[test]
fn streams_cut_anywhere_end_as_they_were_cut() {
    check(suites::streams_cut_anywhere);
}

#[test]
fn a_close_whose_answer_is_cut_anywhere_ends_as_it_was_cut() {
    check(suites::an_answer_to_a_close_cut_anywhere);
}

#[test]
fn silence_is_found_out_by_the_keepalive() {
    check(suites::silences);
}

#[test]
fn what_drips_in_is_whole_and_a_sign_of_life() {
    check(suites::drips);
}

#[test]
fn a_peer_that_reads_no_more_is_given_up_and_what_did_not_leave_comes_back() {
    check(suites::a_peer_that_reads_no_more);
}

#[test]
fn damaged_frames_are_answered_with_what_is_wrong_with_them() {
    check(suites::damaged_frames);
}

#[test]
fn each_way_to_leave_is_told_for_what_it_was() {
    check(suites::peers_that_leave);
}

#[test]
fn openings_cut_anywhere_fail_as_they_were_cut() {
    check(suites::openings_cut_anywhere);
}

#[test]
fn openings_that_stall_are_given_up_in_time() {
    check(suites::openings_that_stall);
}

#[test]
fn records_of_tls_that_are_cut_or_damaged_take_nothing_with_them() {
    check(suites::records_of_tls);
}
