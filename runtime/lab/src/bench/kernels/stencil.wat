;; A three-point stencil that stores what the next row reads.
(module
  (memory (export "memory") 2)
  (data (i32.const 512) "\00\00\00\00\00\00\f0\3f")
  (func (export "_start") (local $n i32) (local $at i32)
    (loop $again
      (local.set $at (i32.const 8))
      (loop $next
        (f64.store offset=65536 (local.get $at)
          (f64.mul (f64.const 0.3333) (f64.add (f64.add
            (f64.load (i32.sub (local.get $at) (i32.const 8))) (f64.load (local.get $at)))
            (f64.load offset=8 (local.get $at)))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 32760))))
      (f64.store offset=512 (i32.const 0) (f64.load offset=66048 (i32.const 0)))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9000))))))
