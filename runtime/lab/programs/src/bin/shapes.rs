//! Calls methods of things whose type is only known at run time: `call_indirect`. There are so few
//! things that every branch predictor learns their order; otherwise its luck is what is measured.
use lab_programs::{Random, fold, report, scale};

trait Shape {
    fn area(&self) -> u64;
    fn grow(&mut self, by: u64);
}

struct Square(u64);
struct Oblong(u64, u64);
struct Triangle(u64, u64);

impl Shape for Square {
    fn area(&self) -> u64 {
        self.0.wrapping_mul(self.0)
    }
    fn grow(&mut self, by: u64) {
        self.0 += by;
    }
}

impl Shape for Oblong {
    fn area(&self) -> u64 {
        self.0.wrapping_mul(self.1)
    }
    fn grow(&mut self, by: u64) {
        self.0 ^= by;
    }
}

impl Shape for Triangle {
    fn area(&self) -> u64 {
        self.0.wrapping_mul(self.1) / 2
    }
    fn grow(&mut self, by: u64) {
        self.1 += by & 7;
    }
}

fn main() {
    let mut random = Random::new();
    let mut shapes: Vec<Box<dyn Shape>> = (0..61)
        .map(|k| -> Box<dyn Shape> {
            match random.below(3) {
                0 => Box::new(Square(k)),
                1 => Box::new(Oblong(k, 3)),
                _ => Box::new(Triangle(2, k)),
            }
        })
        .collect();
    let mut sum = 0;
    for round in 0..scale(320_000) {
        for shape in &mut shapes {
            shape.grow(u64::from(round));
            sum ^= shape.area();
        }
        sum = fold(sum, 1);
    }
    report(sum);
}
