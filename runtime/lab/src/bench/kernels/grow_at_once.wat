;; Grows by 128 MiB at once and touches all of it.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32)
    (drop (memory.grow (i32.const 2048)))
    (loop $next
      (i32.store offset=65536 (local.get $at) (i32.const 1))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (i32.const 134217728))))))
