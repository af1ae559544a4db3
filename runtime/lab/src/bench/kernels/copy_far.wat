;; Copies 64 MiB at a time, more than the caches hold: what the bytes of a bulk operation cost at worst.
(module
  (memory (export "memory") 2048)
  (func (export "_start") (local $n i32)
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 134217728))
    (loop $next
      (memory.copy (i32.const 67108864) (i32.const 0) (i32.const 67108864))
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 6))))))
