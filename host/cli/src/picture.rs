//! Puts the tiles that a batch rendered together into one PNG.

use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A picture of RGB pixels.
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A black picture.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![0; width * height * 3],
        }
    }

    /// Puts a tile's rows where they belong.
    pub fn put(&mut self, x: usize, y: usize, width: usize, tile: &[u8]) -> Result<()> {
        let rows = tile.len() / (width * 3).max(1);
        if tile.len() != rows * width * 3 || x + width > self.width || y + rows > self.height {
            bail!("a tile of {} bytes does not fit at {x}, {y}", tile.len());
        }
        for (at, row) in tile.chunks_exact(width * 3).enumerate() {
            let start = ((y + at) * self.width + x) * 3;
            self.pixels[start..start + row.len()].copy_from_slice(row);
        }
        Ok(())
    }

    /// Writes the picture.
    pub fn write(&self, path: &Path) -> Result<()> {
        let about = || format!("cannot write the picture {}", path.display());
        let file = std::fs::File::create(path).with_context(about)?;
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().with_context(about)?;
        writer.write_image_data(&self.pixels).with_context(about)
    }
}
