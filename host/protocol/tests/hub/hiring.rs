//! Who is hired, who is waited for, and for how long.

use expect_test::expect;

use crate::stage::check;

#[test]
fn one_owner_has_one_attempt_in_a_job() {
    check(
        "join a@o b@o c@o
         order 1 2/2
         join d
         order 2 2/2
         decline d 2
         wait 5000",
        expect![[r#"
            answer 1 no miner
            offer a 2
            offer d 2
            close d 2 Cancelled
            close a 2 Lapsed
        "#]],
    );
}

#[test]
fn a_silent_miner_lapses_and_is_replaced() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         wait 6000
         seal c 1 X
         reveal a 1 X
         reveal c 1 X
         stored 1
         say the late one is told
         seal b 1 X",
        expect![[r#"
            offer a 1
            offer b 1
            close b 1 Lapsed
            offer c 1
            request 1 round 0 sealed ac to ac
            fetch 1 from ac
            close a 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ac against '' of 3, 200 atoms
            -- the late one is told
            close b 1 Lapsed
        "#]],
    );
}

#[test]
fn who_accepted_and_does_not_seal_is_replaced_once_somebody_has() {
    check(
        "join a b c
         order 1 2/2
         accept a 1
         accept b 1
         wait 1000
         seal a 1 X
         wait 2999
         say three times the time of the first
         wait 1",
        expect![[r#"
            offer a 1
            offer b 1
            -- three times the time of the first
            close b 1 Lapsed
            offer c 1
        "#]],
    );
}

#[test]
fn a_slow_miner_is_better_than_none() {
    check(
        "join a b
         order 1 2/2
         accept a 1
         accept b 1
         seal a 1 X
         wait 30000
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         stored 1",
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
fn with_seals_enough_the_slow_ones_are_not_waited_for() {
    check(
        "join a b c
         order 1 3/2
         accept c 1
         seal a 1 X
         seal b 1 X
         wait 2000
         reveal a 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            offer c 1
            close c 1 Lapsed
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 3, 200 atoms
        "#]],
    );
}

#[test]
fn a_lease_ends_even_where_nobody_could_replace() {
    check(
        "join a b
         order 1 2/2
         accept a 1
         accept b 1
         seal a 1 X
         wait 60000
         wait 5000",
        expect![[r#"
            offer a 1
            offer b 1
            close b 1 Lapsed
            close a 1 Cancelled
            answer 1 no verdict of 2: no further miner could be hired
        "#]],
    );
}

#[test]
fn declining_and_abstaining_cost_nothing_but_the_attempt() {
    check(
        "join a b c d
         order 1 2/2
         decline a 1
         accept b 1
         abstain b 1
         decline b 1",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Cancelled
            offer d 1
            close b 1 Cancelled
            offer c 1
            close b 1 Cancelled
        "#]],
    );
}

#[test]
fn a_busy_miner_is_waited_for() {
    check(
        "join a b
         order 1 2/2
         order 2 2/2
         seal a 1 X
         say who has sealed can run the next one
         seal b 1 X
         decline a 2",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 2
            -- who has sealed can run the next one
            request 1 round 0 sealed ab to ab
            offer b 2
            close a 2 Cancelled
        "#]],
    );
}

#[test]
fn a_miner_that_joins_is_hired_for_the_jobs_that_wait() {
    check(
        "join a b
         order 1 2/2
         decline a 1
         wait 4000
         join c",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Cancelled
            offer c 1
        "#]],
    );
}

#[test]
fn nobody_to_hire_ends_the_job_after_some_patience() {
    check(
        "join a b
         order 1 2/2
         seal b 1 X
         decline a 1
         wait 4999
         say now
         wait 1",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Cancelled
            -- now
            close b 1 Cancelled
            answer 1 no verdict of 2: no further miner could be hired
        "#]],
    );
}

#[test]
fn a_miner_that_comes_back_is_offered_its_attempt_again() {
    check(
        "join a b
         order 1 2/2
         leave a
         wait 1000
         join a
         seal a 1 X
         seal b 1 X
         leave b
         join b
         reveal a 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 1
            request 1 round 0 sealed ab to ab
            request 1 round 0 sealed ab to b
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_miner_that_stays_away_lapses_early() {
    check(
        "join a b c
         order 1 2/2
         accept a 1
         leave a
         wait 2000",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Lapsed
            offer c 1
        "#]],
    );
}

#[test]
fn a_busy_miner_that_leaves_is_not_waited_for() {
    check(
        "join a*2 b c
         order 1 3/3
         order 2 2/2
         say two wants b or c
         seal a 1 X
         seal a 2 X
         leave b c
         wait 1999
         say the first job gives them up
         wait 1
         say and then both wait for somebody new
         wait 5000",
        expect![[r#"
            offer a 1
            offer b 1
            offer c 1
            offer a 2
            -- two wants b or c
            -- the first job gives them up
            close b 1 Lapsed
            close c 1 Lapsed
            -- and then both wait for somebody new
            close a 2 Cancelled
            answer 2 no verdict of 1: no further miner could be hired
            close a 1 Cancelled
            answer 1 no verdict of 3: no further miner could be hired
        "#]],
    );
}
