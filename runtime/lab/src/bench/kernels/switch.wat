;; A switch of eight arms, taken in turn.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32) (local $r i32) (local $x i64)
    (loop $next
      (local.set $r (local.get $n))
      (block $end
        (block $c7 (block $c6 (block $c5 (block $c4 (block $c3 (block $c2 (block $c1 (block $c0
          (br_table $c0 $c1 $c2 $c3 $c4 $c5 $c6 $c7 (i32.and (local.get $r) (i32.const 7))))
        (local.set $x (i64.add (local.get $x) (i64.const 3))) (br $end))
        (local.set $x (i64.xor (local.get $x) (i64.const 85))) (br $end))
        (local.set $x (i64.rotl (local.get $x) (i64.const 9))) (br $end))
        (local.set $x (i64.sub (local.get $x) (i64.const 77))) (br $end))
        (local.set $x (i64.or (local.get $x) (i64.const 1))) (br $end))
        (local.set $x (i64.mul (local.get $x) (i64.const 5))) (br $end))
        (local.set $x (i64.shr_u (local.get $x) (i64.const 1))) (br $end))
        (local.set $x (i64.add (local.get $x) (local.get $x)))
      )
      (br_if $next (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20000000))))
    (i64.store (i32.const 0) (local.get $x))))
