//! How long a point stays near the origin under z ← z² + c: the Mandelbrot set itself.

/// A point of the complex plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub re: f64,
    pub im: f64,
}

/// A point this far out (squared) never returns. 2² would do to tell inside from outside; further
/// out the fraction of a step, which makes the colours smooth, is more exact.
const ESCAPE_RADIUS_SQUARED: f64 = 256.0 * 256.0;

/// The step at which the point escapes, with its fraction; nothing for a point that stays inside.
pub fn time(c: Point, iterations: u32) -> Option<f64> {
    if is_in_cardioid_or_bulb(c) {
        return None;
    }

    let (mut re, mut im) = (0.0, 0.0);
    for step in 0..iterations {
        let (re_squared, im_squared) = (re * re, im * im);
        let radius_squared: f64 = re_squared + im_squared;
        if radius_squared > ESCAPE_RADIUS_SQUARED {
            return Some(f64::from(step) - (radius_squared.log2() / 16.0).log2());
        }
        im = 2.0 * re * im + c.im;
        re = re_squared - im_squared + c.re;
    }
    None
}

/// The two largest parts of the set have closed forms. Without this check they cost the most: each
/// of their points is followed to the last step.
fn is_in_cardioid_or_bulb(c: Point) -> bool {
    let im_squared = c.im * c.im;
    let from_cusp = c.re - 0.25;
    let q = from_cusp * from_cusp + im_squared;
    let from_bulb = c.re + 1.0;
    q * (q + from_cusp) <= 0.25 * im_squared || from_bulb * from_bulb + im_squared <= 0.0625
}
