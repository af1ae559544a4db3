;; Copies a mebibyte at a time: what the bytes of a bulk operation cost.
(module
  (memory (export "memory") 64)
  (func (export "_start") (local $n i32)
    (loop $next
      (memory.copy (i32.const 2097152) (i32.shl (i32.and (local.get $n) (i32.const 15)) (i32.const 12)) (i32.const 1048576))
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 600))))))
