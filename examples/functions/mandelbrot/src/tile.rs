//! Which pixels are rendered, and where they lie on the complex plane.

use crate::escape::Point;
use serde::Deserialize;

/// The longest side of a tile. It bounds what one call costs and answers (768 KiB).
pub const TILE_SIDE_MAX: u32 = 512;

/// The longest side of a picture: beyond it a pixel of the whole set is finer than a double can tell.
pub const PICTURE_SIDE_MAX: u32 = 1 << 20;

/// The most steps that one point is followed for.
pub const ITERATIONS_MAX: u32 = 10_000;

/// One rectangle of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// The width of the whole picture in pixels.
    pub width: u32,
    /// The height of the whole picture in pixels.
    pub height: u32,
    /// Where the tile starts, in pixels from the left.
    pub x: u32,
    /// Where the tile starts, in pixels from the top.
    pub y: u32,
    /// The width of the tile in pixels.
    pub tile_width: u32,
    /// The height of the tile in pixels.
    pub tile_height: u32,
    /// The real part of the picture's centre.
    pub center_re: f64,
    /// The imaginary part of the picture's centre.
    pub center_im: f64,
    /// How wide the picture is on the complex plane.
    pub scale: f64,
    /// How many steps a point is followed for before it counts as inside.
    pub iterations: u32,
}

/// A tile that is not rendered, and why.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TileFault {
    /// A number is outside what this function accepts.
    #[error("{name} is {value}; it must be from 1 to {max}")]
    Size {
        /// The field.
        name: &'static str,
        /// What was asked for.
        value: u32,
        /// The most that is accepted.
        max: u32,
    },
    /// The tile reaches beyond the picture.
    #[error("the tile ends at {end_x}, {end_y}, outside the picture of {width} x {height}")]
    Outside {
        /// The first column right of the tile.
        end_x: u64,
        /// The first row below the tile.
        end_y: u64,
        /// The picture's width.
        width: u32,
        /// The picture's height.
        height: u32,
    },
    /// The place on the plane is no place.
    #[error("center_re and center_im must be finite, and scale finite and above 0")]
    Place,
}

impl Tile {
    /// Refuses what would be endless, huge or nowhere.
    pub fn check(&self) -> Result<(), TileFault> {
        for (name, value, max) in [
            ("width", self.width, PICTURE_SIDE_MAX),
            ("height", self.height, PICTURE_SIDE_MAX),
            ("tile_width", self.tile_width, TILE_SIDE_MAX),
            ("tile_height", self.tile_height, TILE_SIDE_MAX),
            ("iterations", self.iterations, ITERATIONS_MAX),
        ] {
            if !(1..=max).contains(&value) {
                return Err(TileFault::Size { name, value, max });
            }
        }

        let Self { width, height, .. } = *self;
        let end_x = u64::from(self.x) + u64::from(self.tile_width);
        let end_y = u64::from(self.y) + u64::from(self.tile_height);
        if end_x > width.into() || end_y > height.into() {
            return Err(TileFault::Outside {
                end_x,
                end_y,
                width,
                height,
            });
        }

        let is_somewhere = self.center_re.is_finite() && self.center_im.is_finite();
        if !(is_somewhere && self.scale.is_finite() && self.scale > 0.0) {
            return Err(TileFault::Place);
        }
        Ok(())
    }

    /// The points that stand for the pixels, row by row: the middle of each.
    pub fn pixels(&self) -> impl Iterator<Item = Point> + use<> {
        let tile = *self;
        let step = tile.scale / f64::from(tile.width);
        let left = tile.center_re + step * (0.5 - f64::from(tile.width) / 2.0);
        let top = tile.center_im - step * (0.5 - f64::from(tile.height) / 2.0);

        let rows = tile.y..tile.y + tile.tile_height;
        rows.flat_map(move |y| {
            let columns = tile.x..tile.x + tile.tile_width;
            columns.map(move |x| Point {
                re: left + step * f64::from(x),
                im: top - step * f64::from(y),
            })
        })
    }
}
