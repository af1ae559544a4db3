//! The colour of an escape time: a sea at night, foam, and the lamp of a lighthouse.

/// The colours that a picture runs through, again and again, as escape takes longer.
const PALETTE: [[f64; 3]; 6] = [
    [4.0, 10.0, 46.0],
    [20.0, 78.0, 154.0],
    [122.0, 196.0, 226.0],
    [245.0, 252.0, 250.0],
    [252.0, 186.0, 66.0],
    [120.0, 36.0, 40.0],
];

/// How many colours are passed while the escape time doubles.
const COLOURS_PER_DOUBLING: f64 = 1.7;

/// Where the run through the colours begins, so that night lies around the set.
const FIRST_PLACE: f64 = 2.4;

/// The colour of a point that escaped at this time; black for a point that never does.
pub fn of(escape_time: Option<f64>) -> [u8; 3] {
    let Some(time) = escape_time else {
        return [0, 0, 0];
    };

    // Near the set, times grow without bound; their logarithm keeps the bands equally wide.
    let place = (time.max(0.0) + 1.0).log2() * COLOURS_PER_DOUBLING + FIRST_PLACE;
    let index = place as usize;
    let from = PALETTE[index % PALETTE.len()];
    let to = PALETTE[(index + 1) % PALETTE.len()];
    let share = place.fract();
    std::array::from_fn(|channel| (from[channel] + (to[channel] - from[channel]) * share) as u8)
}
