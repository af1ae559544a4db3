//! What a buyer of tiles can rely on.
#![allow(clippy::unwrap_used)]

use super::*;

/// The whole set in a picture of 64 by 48, as one tile.
fn whole() -> Tile {
    Tile {
        width: 64,
        height: 48,
        x: 0,
        y: 0,
        tile_width: 64,
        tile_height: 48,
        center_re: -0.75,
        center_im: 0.0,
        scale: 3.5,
        iterations: 300,
    }
}

#[track_caller]
fn check_refused(tile: Tile, expected: &str) {
    assert_eq!(render(Json(tile)).unwrap_err().to_string(), expected);
}

#[test]
fn a_tile_has_three_bytes_for_each_pixel() {
    assert_eq!(render(Json(whole())).unwrap().len(), 64 * 48 * 3);
}

#[test]
fn tiles_put_together_are_the_picture() {
    let picture = render(Json(whole())).unwrap();
    let mut pieces = vec![0; picture.len()];
    for (x, y) in [(0, 0), (40, 0), (0, 20), (40, 20)] {
        let tile = Tile {
            x,
            y,
            tile_width: if x == 0 { 40 } else { 24 },
            tile_height: if y == 0 { 20 } else { 28 },
            ..whole()
        };
        let row_bytes = tile.tile_width as usize * 3;
        for (row, pixels) in render(Json(tile)).unwrap().chunks(row_bytes).enumerate() {
            let at = ((y as usize + row) * 64 + x as usize) * 3;
            pieces[at..at + row_bytes].copy_from_slice(pixels);
        }
    }
    assert!(pieces == picture);
}

#[test]
fn the_set_is_its_own_mirror_image() {
    let picture = render(Json(whole())).unwrap();
    let rows: Vec<&[u8]> = picture.chunks(64 * 3).collect();
    let mirrored: Vec<&[u8]> = rows.iter().rev().copied().collect();
    assert!(rows == mirrored);
}

#[test]
fn the_inside_is_black_and_the_outside_is_not() {
    let pixel = |re, im| {
        let tile = Tile {
            width: 1,
            height: 1,
            tile_width: 1,
            tile_height: 1,
            ..whole()
        };
        render(Json(Tile {
            center_re: re,
            center_im: im,
            ..tile
        }))
        .unwrap()
    };
    let inside = [
        (0.0, 0.0),
        (-1.0, 0.0),
        (-0.1225, 0.7449),
        (-1.7549, 0.0),
        (-0.75, 0.0),
    ];
    for (re, im) in inside {
        assert_eq!(pixel(re, im), [0, 0, 0], "{re} {im}");
    }
    for (re, im) in [(0.5, 0.0), (-2.1, 0.0), (0.0, 1.1), (40.0, -7.0)] {
        assert_ne!(pixel(re, im), [0, 0, 0], "{re} {im}");
    }
}

#[test]
fn escape_takes_longer_the_nearer_a_point_lies() {
    let time = |re| escape::time(escape::Point { re, im: 0.0 }, 10_000);
    let times: Vec<f64> = [2.0, 1.0, 0.5, 0.3, 0.26, 0.251]
        .map(|re| time(re).unwrap())
        .to_vec();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(time(0.25), None);
}

#[test]
fn sizes_beyond_the_bounds_are_refused() {
    check_refused(
        Tile {
            tile_width: 513,
            ..whole()
        },
        "tile_width is 513; it must be from 1 to 512",
    );
    check_refused(
        Tile {
            tile_height: 0,
            ..whole()
        },
        "tile_height is 0; it must be from 1 to 512",
    );
    check_refused(
        Tile {
            width: 0,
            ..whole()
        },
        "width is 0; it must be from 1 to 1048576",
    );
    check_refused(
        Tile {
            iterations: 10_001,
            ..whole()
        },
        "iterations is 10001; it must be from 1 to 10000",
    );
}

#[test]
fn a_tile_outside_the_picture_is_refused() {
    check_refused(
        Tile { x: 1, ..whole() },
        "the tile ends at 65, 48, outside the picture of 64 x 48",
    );
    check_refused(
        Tile {
            y: u32::MAX,
            ..whole()
        },
        "the tile ends at 64, 4294967343, outside the picture of 64 x 48",
    );
}

#[test]
fn a_place_that_is_none_is_refused() {
    let expected = "center_re and center_im must be finite, and scale finite and above 0";
    check_refused(
        Tile {
            scale: 0.0,
            ..whole()
        },
        expected,
    );
    check_refused(
        Tile {
            scale: f64::NAN,
            ..whole()
        },
        expected,
    );
    check_refused(
        Tile {
            center_re: f64::INFINITY,
            ..whole()
        },
        expected,
    );
}
