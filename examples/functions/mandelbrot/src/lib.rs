//! Renders one tile of a picture of the Mandelbrot set.
//!
//! A buyer cuts a picture into tiles, orders them as one batch, and puts the answers together: the
//! fog computes a picture that nobody would wait for on one machine.

mod colour;
mod escape;
mod tile;

use haar::Json;
pub use tile::{ITERATIONS_MAX, TILE_SIDE_MAX, Tile, TileFault};

/// Renders the tile as RGB bytes, three for each pixel, row by row from the top left.
#[haar::function]
pub fn render(Json(tile): Json<Tile>) -> Result<Vec<u8>, TileFault> {
    tile.check()?;
    Ok(tile
        .pixels()
        .flat_map(|point| colour::of(escape::time(point, tile.iterations)))
        .collect())
}

#[cfg(test)]
mod tests;
