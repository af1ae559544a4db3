//! Non-negative least squares: the prices that explain the times best, none below zero.
//!
//! Cyclic coordinate descent (Franc, Hlaváč, Navara: Sequential Coordinate-wise Algorithm for the
//! Non-negative Least Squares Problem, 2005): each weight in turn is set to its best value, the others
//! held; the squared error never grows, and with no negative weights nothing has to be undone.

/// Sweeps over all weights, at most.
const SWEEPS_MAX: usize = 20_000;
/// A sweep that moves no weight by more than this share of the largest has arrived.
const STILL: f64 = 1e-10;

/// Minimises `Σ (rows · weights − targets)²` over weights that are not negative. Each row has as many
/// entries as `floors`; no weight goes below its floor.
pub fn least_squares(rows: &[Vec<f64>], targets: &[f64], floors: &[f64]) -> Vec<f64> {
    let columns = floors.len();
    let square = |column: usize| {
        rows.iter()
            .map(|row| row[column] * row[column])
            .sum::<f64>()
    };
    let squares: Vec<f64> = (0..columns).map(square).collect();
    let mut weights = floors.to_vec();
    let mut rest: Vec<f64> = rows
        .iter()
        .zip(targets)
        .map(|(row, target)| target - dot(row, &weights))
        .collect();

    for _ in 0..SWEEPS_MAX {
        let mut moved = 0.0_f64;
        for column in 0..columns {
            if squares[column] == 0.0 {
                continue;
            }
            let pull: f64 = rows
                .iter()
                .zip(&rest)
                .map(|(row, rest)| row[column] * rest)
                .sum();
            let best = (weights[column] + pull / squares[column]).max(floors[column]);
            let step = best - weights[column];
            if step != 0.0 {
                for (row, rest) in rows.iter().zip(&mut rest) {
                    *rest -= row[column] * step;
                }
                weights[column] = best;
                moved = moved.max(step.abs());
            }
        }
        let largest = weights.iter().copied().fold(0.0, f64::max);
        if moved <= largest * STILL {
            break;
        }
    }
    weights
}

fn dot(row: &[f64], weights: &[f64]) -> f64 {
    row.iter().zip(weights).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[&[f64]], targets: &[f64], floors: &[f64], expected: &[f64]) {
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.to_vec()).collect();
        let weights = least_squares(&rows, targets, floors);
        let near = weights
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near && weights.len() == expected.len(), "{weights:?}");
    }

    #[test]
    fn exact_times_give_exact_weights() {
        let rows: [&[f64]; 3] = [&[1.0, 2.0], &[3.0, 1.0], &[2.0, 2.0]];
        check(&rows, &[8.0, 9.0, 10.0], &[0.0, 0.0], &[2.0, 3.0]);
    }

    #[test]
    fn a_weight_that_would_be_negative_is_zero() {
        let rows: [&[f64]; 2] = [&[1.0, 1.0], &[1.0, 2.0]];
        check(&rows, &[3.0, 2.0], &[0.0, 0.0], &[2.5, 0.0]);
    }

    #[test]
    fn a_floor_is_kept_and_the_others_make_room() {
        let rows: [&[f64]; 2] = [&[1.0, 1.0], &[1.0, 0.0]];
        check(&rows, &[3.0, 3.0], &[0.0, 1.0], &[2.5, 1.0]);
    }

    #[test]
    fn a_column_that_nobody_uses_stays_at_its_floor() {
        check(&[&[2.0, 0.0]], &[4.0], &[0.0, 7.0], &[2.0, 7.0]);
    }
}
