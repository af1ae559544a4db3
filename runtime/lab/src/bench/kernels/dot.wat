;; The dot product of two rows of f64.
(module
  (memory (export "memory") 2)
  (func (export "_start") (local $n i32) (local $at i32) (local $sum f64)
    (loop $again
      (local.set $at (i32.const 0))
      (loop $next
        (local.set $sum (f64.add (local.get $sum)
          (f64.mul (f64.load (local.get $at)) (f64.load offset=65536 (local.get $at)))))
        (br_if $next (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 32768))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 8000))))
    (f64.store (i32.const 0) (local.get $sum))))
