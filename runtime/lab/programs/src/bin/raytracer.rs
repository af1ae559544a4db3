//! Spheres with shadows and mirrors in f32.
use lab_programs::{fold, report, scale};

type Vector = [f32; 3];

fn add(a: Vector, b: Vector, times: f32) -> Vector {
    std::array::from_fn(|k| a[k] + b[k] * times)
}

fn dot(a: Vector, b: Vector) -> f32 {
    (0..3).map(|k| a[k] * b[k]).sum()
}

fn unit(a: Vector) -> Vector {
    a.map(|part| part / dot(a, a).sqrt())
}

/// The nearest sphere that the ray meets: how far, and its centre.
fn hit(spheres: &[(Vector, f32)], from: Vector, way: Vector) -> Option<(f32, Vector)> {
    let mut nearest: Option<(f32, Vector)> = None;
    for &(centre, radius) in spheres {
        let to = add(centre, from, -1.0);
        let (along, square) = (dot(to, way), dot(to, to) - radius * radius);
        let inside = along * along - square;
        if inside > 0.0 {
            let far = along - inside.sqrt();
            if far > 1e-3 && nearest.is_none_or(|(best, _)| far < best) {
                nearest = Some((far, centre));
            }
        }
    }
    nearest
}

fn shade(spheres: &[(Vector, f32)], from: Vector, way: Vector, depth: u32) -> f32 {
    let Some((far, centre)) = hit(spheres, from, way) else {
        return way[1].abs();
    };
    let point = add(from, way, far);
    let normal = unit(add(point, centre, -1.0));
    let light = unit([1.0, 2.0, -1.5]);
    let lit = if hit(spheres, point, light).is_none() {
        dot(normal, light).max(0.0)
    } else {
        0.0
    };
    let mirrored = add(way, normal, -2.0 * dot(way, normal));
    let seen = if depth > 0 {
        shade(spheres, point, mirrored, depth - 1)
    } else {
        0.0
    };
    0.1 + 0.6 * lit + 0.3 * seen
}

fn main() {
    let spheres: Vec<(Vector, f32)> = (0..12)
        .map(|k| {
            (
                [
                    (k % 4) as f32 * 2.0 - 3.0,
                    (k / 4) as f32 * 2.0 - 2.0,
                    6.0 + (k % 3) as f32,
                ],
                0.9,
            )
        })
        .collect();
    let side = scale(1_200);
    let at = |pixel: u32| pixel as f32 / side as f32 - 0.5;
    let mut sum = 0;
    for pixel in 0..side * side {
        let way = unit([at(pixel % side), at(pixel / side), 0.6]);
        sum = fold(sum, (shade(&spheres, [0.0; 3], way, 3) * 255.0) as u64);
    }
    report(sum);
}
