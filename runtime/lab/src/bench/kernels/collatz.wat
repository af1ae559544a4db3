;; Steps of the Collatz sequence: a short loop whose length nobody knows, with a branch inside.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $start i64) (local $n i64) (local $steps i64)
    (local.set $start (i64.const 400000))
    (loop $all
      (local.set $n (local.get $start))
      (loop $next
        (local.set $steps (i64.add (local.get $steps) (i64.const 1)))
        (if (i64.eqz (i64.and (local.get $n) (i64.const 1)))
          (then (local.set $n (i64.shr_u (local.get $n) (i64.const 1))))
          (else (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
        (br_if $next (i64.gt_u (local.get $n) (i64.const 1))))
      (br_if $all (i64.gt_u (local.tee $start (i64.sub (local.get $start) (i64.const 1))) (i64.const 200000))))
    (i64.store (i32.const 0) (local.get $steps))))
