//! Encodes and decodes a picture (crate png): filters, deflate, checksums.
use lab_programs::{fold, report, scale};
use std::io::Cursor;

const SIDE: u32 = 256;

fn main() {
    let pixel = |at: u32| ((at % SIDE) * (at / SIDE) / 97 + (at >> 4)) as u8;
    let picture: Vec<u8> = (0..SIDE * SIDE * 3).map(|at| pixel(at / 3)).collect();
    let mut sum = 0;
    for _ in 0..scale(18) {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&picture).unwrap();
        writer.finish().unwrap();

        let mut reader = png::Decoder::new(Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; picture.len()];
        reader.next_frame(&mut pixels).unwrap();
        sum = fold(sum, file.len() as u64 + u64::from(pixels == picture));
    }
    report(sum);
}
