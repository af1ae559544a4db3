;; Calls through the table, two functions in turn.
(module
  (memory (export "memory") 1)
  (type $step (func (param i32 i32) (result i32)))
  (table 2 2 funcref)
  (elem (i32.const 0) $one $other)
  (func $one (type $step) (i32.add (i32.mul (local.get 0) (i32.const 31)) (local.get 1)))
  (func $other (type $step) (i32.xor (local.get 0) (i32.shl (local.get 1) (i32.const 3))))
  (func (export "_start") (local $n i32) (local $sum i32)
    (loop $next
      (local.set $sum (call_indirect (type $step) (local.get $sum) (local.get $n) (i32.and (local.get $n) (i32.const 1))))
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20000000))))
    (i32.store (i32.const 0) (local.get $sum))))
