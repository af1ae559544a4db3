//! Conway's game of life on a torus of bytes.
use lab_programs::{Random, fold, report, scale};

const SIDE: usize = 256;

fn main() {
    let mut random = Random::new();
    let mut cells: Vec<u8> = (0..SIDE * SIDE)
        .map(|_| (random.below(3) == 0).into())
        .collect();
    let mut next = cells.clone();
    for _ in 0..scale(260) {
        for y in 0..SIDE {
            let rows = [(y + SIDE - 1) % SIDE, y, (y + 1) % SIDE].map(|row| row * SIDE);
            for x in 0..SIDE {
                let columns = [(x + SIDE - 1) % SIDE, x, (x + 1) % SIDE];
                let mut near = 0;
                for row in rows {
                    for column in columns {
                        near += cells[row + column];
                    }
                }
                let alive = cells[y * SIDE + x];
                next[y * SIDE + x] = u8::from(near == 3 || (near == 4 && alive == 1));
            }
        }
        std::mem::swap(&mut cells, &mut next);
    }
    report(cells.iter().fold(0, |sum, &cell| fold(sum, cell.into())));
}
