//! Money, ends, restarts, and words about nothing.

use expect_test::expect;

use crate::stage::check;

#[test]
fn what_cannot_be_divided_is_the_hubs() {
    check(
        "join a b c
         order 1 3/3 198
         vote aE bE cE
         account",
        expect![[r#"
            offer a 1
            offer b 1
            offer c 1
            request 1 round 0 sealed abc to abc
            close a 1 Agreed credit 59 in epoch 1
            close b 1 Agreed credit 59 in epoch 1
            close c 1 Agreed credit 59 in epoch 1
            answer 1 agreed by abc against '' of 3, 198 atoms
            -- 9802 available, 0 held, 198 spent, 0 refunded; 177 earned, 21 fees
        "#]],
    );
}

#[test]
fn an_output_that_nobody_delivers_is_not_paid() {
    check(
        "join a b c d
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         missing a 1
         say b may have it
         missing b 1
         seal c 1 X
         seal d 1 X
         reveal c 1 X
         reveal d 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            -- b may have it
            close a 1 Lapsed
            close b 1 Lapsed
            offer d 1
            offer c 1
            request 1 round 1 sealed cd to cd
            fetch 1 from cd
            close d 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by cd against '' of 4, 200 atoms
        "#]],
    );
}

#[test]
fn one_delivery_is_enough_for_all_who_agree() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         missing a 1
         stored 1
         stored 1
         missing b 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn the_deadline_ends_a_job_in_every_phase() {
    check(
        "join a*5 b*5
         order 1 2/2 1000 1500
         order 2 2/2 1000 1500
         order 3 2/2 1000 1500
         seal a 2 X
         seal b 2 X
         seal a 3 X
         seal b 3 X
         reveal a 3 X
         reveal b 3 X
         fire 1 2 3
         say not before its time
         wait 1500
         stored 3
         fire 1 2 3
         account",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 2
            offer b 2
            offer a 3
            offer b 3
            request 2 round 0 sealed ab to ab
            request 3 round 0 sealed ab to ab
            fetch 3 from ab
            -- not before its time
            close a 1 Cancelled
            close b 1 Cancelled
            answer 1 no verdict of 2: the deadline came before a verdict
            close a 2 Cancelled
            close b 2 Cancelled
            answer 2 no verdict of 2: the deadline came before a verdict
            close a 3 Cancelled
            close b 3 Cancelled
            answer 3 no verdict of 2: the deadline came before a verdict
            -- 10000 available, 0 held, 0 spent, 3000 refunded; 0 earned, 0 fees
        "#]],
    );
}

#[test]
fn after_a_restart_everything_open_is_asked_again() {
    check(
        "join a*5 b*5
         order 1 2/2
         order 2 2/2
         order 3 2/2
         order 4 2/2
         seal a 2 X
         seal b 2 X
         seal a 3 X
         seal b 3 X
         reveal a 3 X
         reveal b 3 X
         seal a 4 E
         seal b 4 E
         reveal a 4 E
         reveal b 4 E
         settle
         say restart
         restart
         join a*5
         join b*5
         reveal a 2 X
         reveal b 2 X",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 2
            offer b 2
            offer a 3
            offer b 3
            offer a 4
            offer b 4
            request 2 round 0 sealed ab to ab
            request 3 round 0 sealed ab to ab
            fetch 3 from ab
            request 4 round 0 sealed ab to ab
            close a 4 Agreed credit 90 in epoch 1
            close b 4 Agreed credit 90 in epoch 1
            answer 4 agreed by ab against '' of 2, 200 atoms
            settle epoch 1 after None: jobs [4] pay a=90 b=90 charged 200
            -- restart
            fetch 3 from ab
            settle epoch 1 after None: jobs [4] pay a=90 b=90 charged 200
            offer a 1
            request 2 round 0 sealed ab to a
            offer b 1
            request 2 round 0 sealed ab to b
            fetch 2 from ab
        "#]],
    );
}

#[test]
fn the_hubs_absence_is_nobodys_lateness() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         seal b 1 X
         say the hub is away for longer than the grace
         restart
         wait 6999
         join a b
         reveal a 1 X
         reveal b 1 X",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            -- the hub is away for longer than the grace
            request 1 round 0 sealed ab to a
            request 1 round 0 sealed ab to b
            fetch 1 from ab
        "#]],
    );
}

#[test]
fn the_same_order_again_is_the_same_job() {
    check(
        "join a b
         order 1 2/2
         order 1 2/2
         seal a 1 E
         seal b 1 E
         reveal a 1 E
         reveal b 1 E
         order 1 2/2",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn an_order_that_cannot_be_taken_holds_nothing() {
    check(
        "order 1 2/2
         join a b
         order 1 1/2
         order 1 0/0
         order 1 8/2
         say three of one owner are one
         order 2 3/3",
        expect![[r#"
            answer 1 no miner
            answer 1 Refused(BadQuorum)
            answer 1 Refused(BadQuorum)
            answer 1 Refused(BadQuorum)
            -- three of one owner are one
            answer 2 no miner
        "#]],
    );
}

#[test]
fn a_buyer_spends_no_more_than_it_has() {
    check(
        "join a*9
         order 1 1/1 9500
         order 2 1/1 501
         order 3 1/1 500
         account
         say a second deposit of one name is the first
         deposit 10000
         account
         vote aE
         say what the job did not cost is free again
         account",
        expect![[r#"
            offer a 1
            answer 2 refused: 501 needed, 500 available
            offer a 3
            -- 0 available, 10000 held, 0 spent, 0 refunded; 0 earned, 0 fees
            -- a second deposit of one name is the first
            -- 0 available, 10000 held, 0 spent, 0 refunded; 0 earned, 0 fees
            request 1 round 0 sealed a to a
            close a 1 Agreed credit 180 in epoch 1
            answer 1 agreed by a against '' of 1, 200 atoms
            -- what the job did not cost is free again
            -- 9300 available, 500 held, 200 spent, 9300 refunded; 180 earned, 20 fees
        "#]],
    );
}

#[test]
fn a_batch_holds_what_was_decided_once() {
    check(
        "join a*5 b*5
         settle
         order 2 2/2
         order 1 2/2
         seal a 1 E
         seal b 1 E
         reveal a 1 E
         reveal b 1 E
         settle
         seal a 2 E
         seal b 2 E
         reveal a 2 E
         reveal b 2 E
         say one batch at a time
         settle
         committed 7
         committed 1
         settle
         committed 2
         finalized 1
         settle",
        expect![[r#"
            offer a 2
            offer b 2
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            settle epoch 1 after None: jobs [1] pay a=90 b=90 charged 200
            request 2 round 0 sealed ab to ab
            close a 2 Agreed credit 180 in epoch 2
            close b 2 Agreed credit 180 in epoch 2
            answer 2 agreed by ab against '' of 2, 200 atoms
            -- one batch at a time
            settle epoch 1 after None: jobs [1] pay a=90 b=90 charged 200
            settle epoch 2 after Some(1): jobs [2] pay a=180 b=180 charged 200
        "#]],
    );
}

#[test]
fn words_about_nothing_change_nothing() {
    check(
        "accept a 1
         seal a 1 X
         reveal a 1 X
         missing a 1
         stored 1
         leave a
         join a
         say a known miner is told to forget
         seal a 1 X
         order 2 1/1
         seal b 2 X
         reveal b 2 X
         decline b 2
         fire 2 3",
        expect![[r#"
            -- a known miner is told to forget
            close a 1 Cancelled
            offer a 2
        "#]],
    );
}

#[test]
fn ended_jobs_are_forgotten_once_their_batch_is_on_chain() {
    check(
        "join a
         order 1 1/1
         seal a 1 E
         reveal a 1 E
         wait 900000
         order 1 1/1
         settle
         committed 1
         wait 900000
         leave a
         say forgotten, and expired if it came again
         seal a 1 X",
        expect![[r#"
            offer a 1
            request 1 round 0 sealed a to a
            close a 1 Agreed credit 180 in epoch 1
            answer 1 agreed by a against '' of 1, 200 atoms
            answer 1 agreed by a against '' of 1, 200 atoms
            settle epoch 1 after None: jobs [1] pay a=180 charged 200
            -- forgotten, and expired if it came again
            close a 1 Cancelled
        "#]],
    );
}

#[test]
fn a_lease_begins_anew_after_the_hubs_absence() {
    check(
        "join a b
         order 1 2/2
         accept a 1
         accept b 1
         wait 59500
         restart
         wait 1000
         join a b
         vote aE bE",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}
