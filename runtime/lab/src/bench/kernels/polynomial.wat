;; A polynomial of the fifth degree by Horner's rule at many points.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32) (local $x f64) (local $sum f64)
    (loop $next
      (local.set $x (f64.mul (f64.convert_i32_s (local.get $n)) (f64.const 1e-7)))
      (local.set $sum (f64.add (local.get $sum)
        (f64.add (f64.mul (f64.add (f64.mul (f64.add (f64.mul (f64.add (f64.mul (f64.add (f64.mul
          (local.get $x) (f64.const 0.5)) (f64.const -1.5)) (local.get $x)) (f64.const 0.25)) (local.get $x))
          (f64.const -2)) (local.get $x)) (f64.const 3)) (local.get $x)) (f64.const 1))))
      (br_if $next (i32.lt_s (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 15000000))))
    (f64.store (i32.const 0) (local.get $sum))))
