;; The shortest loop: five instructions that do anything.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.extend_i32_u (local.get $n))))
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 60000000))))
    (i64.store (i32.const 0) (local.get $sum))))
