//! Planets around a sun: f64 with square roots (Benchmarks Game, n-body).
use lab_programs::{report, scale};

fn main() {
    // Position, velocity, mass of Sun, Jupiter, Saturn, Uranus, Neptune.
    let mut bodies: [([f64; 3], [f64; 3], f64); 5] = [
        ([0.0; 3], [0.0; 3], 39.478),
        ([4.841, -1.160, -0.103], [0.606, 2.812, -0.025], 0.0377),
        ([8.343, 4.125, -0.404], [-1.011, 1.826, 0.008], 0.0113),
        ([12.894, -15.111, -0.223], [1.083, 0.869, -0.011], 0.0017),
        ([15.380, -25.919, 0.179], [0.979, 0.595, -0.035], 0.0020),
    ];
    for _ in 0..scale(2_000_000) {
        for one in 0..5 {
            for other in one + 1..5 {
                let apart: [f64; 3] =
                    std::array::from_fn(|k| bodies[one].0[k] - bodies[other].0[k]);
                let square = apart.iter().map(|d| d * d).sum::<f64>();
                let pull = 0.01 / (square * square.sqrt());
                let (mass, mass_other) = (bodies[one].2, bodies[other].2);
                for k in 0..3 {
                    bodies[one].1[k] -= apart[k] * mass_other * pull;
                    bodies[other].1[k] += apart[k] * mass * pull;
                }
            }
        }
        for (place, speed, _) in &mut bodies {
            (0..3).for_each(|k| place[k] += 0.01 * speed[k]);
        }
    }
    report(bodies[1].0[0].to_bits());
}
