;; y += a·x by four lanes of f32.
(module
  (memory (export "memory") 2)
  (func (export "_start") (local $n i32) (local $at i32) (local $a v128)
    (local.set $a (f32x4.splat (f32.const 0.5)))
    (loop $again
      (local.set $at (i32.const 0))
      (loop $next
        (v128.store offset=65536 (local.get $at)
          (f32x4.add (v128.load offset=65536 (local.get $at))
            (f32x4.mul (local.get $a) (v128.load (local.get $at)))))
        (br_if $next (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 16))) (i32.const 16384))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 60000))))))
