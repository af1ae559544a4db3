;; Fills sixteen bytes at a time: what a bulk operation costs before it moves anything.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32)
    (loop $next
      (memory.fill (i32.and (local.get $n) (i32.const 0xff0)) (local.get $n) (i32.const 16))
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 8000000))))))
