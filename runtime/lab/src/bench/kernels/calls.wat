;; Calls a function that is too large to be worth copying and calls another.
(module
  (memory (export "memory") 1)
  (func $leaf (param $a i32) (param $b i32) (result i32)
    (i32.add (i32.mul (local.get $a) (i32.const 31)) (local.get $b)))
  (func $step (param $a i32) (param $b i32) (result i32)
    (i32.xor (call $leaf (local.get $a) (local.get $b)) (i32.load (i32.and (local.get $a) (i32.const 0xfffc)))))
  (func (export "_start") (local $n i32) (local $sum i32)
    (loop $next
      (local.set $sum (call $step (local.get $sum) (local.get $n)))
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 15000000))))
    (i32.store (i32.const 0) (local.get $sum))))
