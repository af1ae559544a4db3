;; Three counted loops in one another, with bounds that are not constants.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\90\01\00\00")
  (func (export "_start") (local $i i32) (local $j i32) (local $k i32) (local $limit i32) (local $sum i32)
    (local.set $limit (i32.load (i32.const 0)))
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $middle
        (local.set $k (i32.const 0))
        (loop $inner
          (local.set $sum (i32.add (i32.xor (local.get $sum) (local.get $k)) (local.get $j)))
          (br_if $inner (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $limit))))
        (br_if $middle (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $limit))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $limit))))
    (i32.store (i32.const 4) (local.get $sum))))
