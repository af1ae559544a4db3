//! Who is right, and what that means for everybody.

use expect_test::expect;

use crate::stage::check;

#[test]
fn two_that_agree_are_paid_alike() {
    check(
        "join a b
         order 1 2/2
         account
         accept a 1
         seal a 1 X
         say nothing is shown before both have sealed
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         stored 1
         account",
        expect![[r#"
            offer a 1
            offer b 1
            -- 9000 available, 1000 held, 0 spent, 0 refunded; 0 earned, 0 fees
            -- nothing is shown before both have sealed
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            -- 9800 available, 0 held, 200 spent, 800 refunded; 180 earned, 20 fees
        "#]],
    );
}

#[test]
fn a_liar_costs_two_further_attempts_and_is_put_out() {
    check(
        "join a b c d
         order 1 2/2
         seal a 1 X
         seal b 1 Y
         reveal a 1 X
         reveal b 1 Y
         say both could be right: as many more as could decide
         seal c 1 X
         seal d 1 X
         reveal c 1 X
         reveal d 1 X
         stored 1
         join b
         order 2 2/2",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            offer d 1
            offer c 1
            -- both could be right: as many more as could decide
            request 1 round 1 sealed cd to cd
            fetch 1 from acd
            close a 1 Agreed credit 60 in epoch 1
            close b 1 Dissented
            close d 1 Agreed credit 60 in epoch 1
            close c 1 Agreed credit 60 in epoch 1
            answer 1 agreed by acd against 'b' of 4, 200 atoms
            dismiss b for 1: its outcome was not the agreed one
            turn away b: the miner or its owner was dismissed
            offer a 2
            offer c 2
        "#]],
    );
}

#[test]
fn a_majority_of_three_without_the_lead_is_no_verdict_yet() {
    check(
        "join a b c d
         order 1 3/2
         vote aX bX dY
         say two against one leads by one
         vote cX
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            offer d 1
            request 1 round 0 sealed abd to abd
            offer c 1
            -- two against one leads by one
            request 1 round 1 sealed c to c
            fetch 1 from abc
            close a 1 Agreed credit 60 in epoch 1
            close b 1 Agreed credit 60 in epoch 1
            close d 1 Dissented
            close c 1 Agreed credit 60 in epoch 1
            answer 1 agreed by abc against 'd' of 4, 200 atoms
            dismiss d for 1: its outcome was not the agreed one
        "#]],
    );
}

#[test]
fn after_seven_answers_without_a_lead_everything_goes_back() {
    check(
        "join a b c d e f g h
         order 1 2/2
         vote aA bB cC dD eE fG gH hI
         vote aA bB cC dD eE fG gH hI
         vote aA bB cC dD eE fG gH hI
         say an eighth answer is never bought
         account",
        expect![[r#"
            offer b 1
            offer a 1
            request 1 round 0 sealed ab to ab
            offer h 1
            offer e 1
            request 1 round 1 sealed eh to eh
            offer f 1
            offer c 1
            request 1 round 2 sealed cf to cf
            close b 1 Cancelled
            close a 1 Cancelled
            close h 1 Cancelled
            close e 1 Cancelled
            close f 1 Cancelled
            close c 1 Cancelled
            answer 1 no verdict of 6: the miners disagree and no further attempt is allowed
            close h 1 Cancelled
            -- an eighth answer is never bought
            -- 10000 available, 0 held, 0 spent, 1000 refunded; 0 earned, 0 fees
        "#]],
    );
}

#[test]
fn an_optimistic_job_needs_one_miner() {
    check(
        "join a
         order 1 1/1
         seal a 1 T
         reveal a 1 T",
        expect![[r#"
            offer a 1
            request 1 round 0 sealed a to a
            close a 1 Agreed credit 180 in epoch 1
            answer 1 agreed by a against '' of 1, 200 atoms
        "#]],
    );
}

#[test]
fn a_trap_and_an_empty_output_need_no_fetching() {
    check(
        "join a b
         order 1 2/2
         seal a 1 T
         seal b 1 T
         reveal a 1 T
         reveal b 1 T",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn an_early_reveal_is_not_looked_at() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         reveal a 1 X
         seal b 1 X
         reveal b 1 X
         say the early one has to come again
         reveal a 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            -- the early one has to come again
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_reveal_that_does_not_open_its_seal_is_wrong() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         seal b 1 Y
         reveal a 1 X
         reveal b 1 X
         seal c 1 X
         reveal c 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close b 1 Dissented
            offer c 1
            dismiss b for 1: its reveal does not open its seal
            request 1 round 1 sealed c to c
            fetch 1 from ac
            close a 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ac against 'b' of 3, 200 atoms
        "#]],
    );
}

#[test]
fn more_fuel_than_the_job_may_use_is_wrong_even_alone() {
    check(
        "join a b
         order 1 1/1
         seal a 1 F
         reveal a 1 F
         seal b 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            request 1 round 0 sealed a to a
            close a 1 Dissented
            offer b 1
            dismiss a for 1: its reveal does not open its seal
            request 1 round 1 sealed b to b
            fetch 1 from b
            close b 1 Agreed credit 180 in epoch 1
            answer 1 agreed by b against 'a' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_second_seal_is_equivocation() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         seal a 1 X
         seal a 1 Y
         seal b 1 X
         seal c 1 X
         reveal b 1 X
         reveal c 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            dismiss a for 1: it signed two different answers
            close a 1 Cancelled
            offer c 1
            request 1 round 0 sealed abc to bc
            fetch 1 from bc
            close b 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by bc against '' of 3, 200 atoms
        "#]],
    );
}

#[test]
fn a_second_reveal_is_equivocation_even_after_the_verdict() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         stored 1
         reveal a 1 X
         reveal a 1 Y",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            close a 1 Agreed credit 90 in epoch 1
            dismiss a for 1: it signed two different answers
        "#]],
    );
}

#[test]
fn a_dismissed_owners_other_miners_are_out_as_well() {
    check(
        "join a@o b c@o d
         order 1 2/2
         seal a 1 X
         seal a 1 Y
         join c@o
         join e@o",
        expect![[r#"
            offer a 1
            offer b 1
            dismiss a for 1: it signed two different answers
            close a 1 Cancelled
            dismiss c for 1: it signed two different answers
            offer d 1
            turn away c: the miner or its owner was dismissed
            turn away e: the miner or its owner was dismissed
        "#]],
    );
}

#[test]
fn a_seal_without_a_reveal_counts_as_wrong() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         wait 5000
         seal c 1 X
         reveal c 1 X
         stored 1
         say too late
         reveal b 1 X",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close b 1 Dissented
            offer c 1
            request 1 round 1 sealed c to c
            fetch 1 from ac
            close a 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ac against 'b' of 3, 200 atoms
            -- too late
            close b 1 Dissented
        "#]],
    );
}

#[test]
fn only_repeated_silence_after_a_seal_puts_out() {
    check(
        "join a*9
         order 1 1/1
         order 2 1/1
         order 3 1/1
         seal a 1 X
         seal a 2 X
         seal a 3 X
         say one outage is one fault
         wait 70000
         order 4 1/1
         seal a 4 X
         wait 70000
         order 5 1/1
         seal a 5 X
         wait 10000",
        expect![[r#"
            offer a 1
            offer a 2
            offer a 3
            request 1 round 0 sealed a to a
            request 2 round 0 sealed a to a
            request 3 round 0 sealed a to a
            -- one outage is one fault
            close a 1 Dissented
            close a 2 Dissented
            close a 3 Dissented
            answer 1 no verdict of 1: no further miner could be hired
            answer 2 no verdict of 1: no further miner could be hired
            answer 3 no verdict of 1: no further miner could be hired
            offer a 4
            request 4 round 0 sealed a to a
            close a 4 Dissented
            answer 4 no verdict of 1: no further miner could be hired
            offer a 5
            request 5 round 0 sealed a to a
            close a 5 Dissented
            dismiss a for 5: it sealed and did not reveal
            answer 5 no verdict of 1: no further miner could be hired
        "#]],
    );
}

#[test]
fn a_record_grows_by_agreement_and_is_lost_at_once() {
    check(
        "join a b
         order 1 2/2
         record a
         vote aE bE
         record a
         order 2 1/1
         order 3 1/1
         seal a 2 X
         seal b 2 X
         seal a 3 X
         seal b 3 X
         wait 5000
         record a
         record b",
        expect![[r#"
            offer a 1
            offer b 1
            -- a has record 0, runs 1, earned 0
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            -- a has record 1, runs 0, earned 90
            offer a 2
            offer b 3
            request 2 round 0 sealed a to a
            request 3 round 0 sealed b to b
            close a 2 Dissented
            offer b 2
            close b 3 Dissented
            offer a 3
            -- a has record 0, runs 1, earned 90
            -- b has record 0, runs 1, earned 90
        "#]],
    );
}
