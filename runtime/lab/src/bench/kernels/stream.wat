;; Sums 16 MiB of memory, word by word.
(module
  (memory (export "memory") 257)
  (func (export "_start") (local $n i32) (local $at i32) (local $sum i64)
    (loop $again
      (local.set $at (i32.const 0))
      (loop $next
        (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $at))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 16777216))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 30))))
    (i64.store (i32.const 0) (local.get $sum))))
