//! `--camera`: photos through the device's own code.

use std::fs;

use image::{Rgb, RgbImage};
use ocelli::camera::{Camera, CameraParams, Crop, PixelFormat};
use ocelli::kernels::Shape;
use ocelli::{KernelTable, Session};
use ocelli_convert::compare::Arena;
use ocelli_image::ImageBuffer;
use serde_json::Value;

use crate::{BLUE, Desk, RED, known, small};

const FORMATS: [&str; 10] = [
    "rgb888",
    "rgb888:crop=square",
    "rgb565",
    "rgb565:little",
    "rgb565:big,crop=10x9+1+0",
    "yuyv",
    "yuyv:limited",
    "yuyv:full,crop=model",
    "uyvy",
    "uyvy:limited,crop=square",
];

/// A photo in which every pixel differs.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([x * 7 + y * 3, x * y, 255 - x * 2 - y].map(|value| value as u8))
    })
}

/// The codes of all classes, class by class.
fn codes(report: &Value) -> Vec<i64> {
    let mut top: Vec<(u64, i64)> = report["results"][0]["top"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| {
            (
                class["class"].as_u64().unwrap(),
                class["code"].as_i64().unwrap(),
            )
        })
        .collect();
    top.sort();
    top.into_iter().map(|(_, code)| code).collect()
}

#[test]
fn a_camera_of_any_colour_format_sees_the_colours_of_the_photos() {
    let desk = Desk::new();
    known(&desk, 2);
    for format in FORMATS {
        let report = desk.json(&["eval", "m.ocl", "known", "--camera", format]);
        assert_eq!(report["accuracy"], 1.0, "{format}");
    }
    // Nothing is red, green or blue in grey: all are taken for the class that comes first.
    let report = desk.json(&["eval", "m.ocl", "known", "--camera", "grey"]);
    assert_eq!(report["correct"], 2);
}

#[test]
fn a_photo_comes_to_the_codes_of_the_same_rows_pushed_by_hand() {
    let desk = Desk::new();
    let picture = photo(23, 20);
    picture.save(desk.path("a.png")).unwrap();
    let report = desk.json(&["run", "m.ocl", "a.png", "--camera", "rgb888:crop=9x22+2+1"]);

    let params = CameraParams {
        format: PixelFormat::Rgb888,
        h: 20,
        w: 23,
        crop: Crop {
            top: 2,
            left: 1,
            h: 9,
            w: 22,
        },
        output: Shape::new(small::SIDE, small::SIDE, 3),
    };
    let buffer = ImageBuffer::new(&desk.read("m.ocl"));
    let image = buffer.parse().unwrap();
    let (kernels, mut arena) = (KernelTable::all(), Arena::new(&image));
    let mut session = Session::new(&image, arena.bytes(), &kernels).unwrap();
    let mut words = vec![0; params.buffer_words()];
    let mut camera = Camera::new(params, &mut words).unwrap();
    for row in picture.as_raw().chunks(3 * 23) {
        camera.push_row(row).unwrap();
        while let Some(pixels) = camera.next_row() {
            session.push_row(pixels, &mut ()).unwrap();
        }
    }
    let expected: Vec<i64> = session.output().iter().map(|&code| code.into()).collect();
    assert_eq!(codes(&report), expected);
}

#[test]
fn yuv_leaves_an_odd_column_out() {
    let desk = Desk::new();
    let wide = photo(21, 16);
    wide.save(desk.path("odd.png")).unwrap();
    let even = image::imageops::crop_imm(&wide, 0, 0, 20, 16).to_image();
    even.save(desk.path("even.png")).unwrap();
    let see = |name| codes(&desk.json(&["run", "m.ocl", name, "--camera", "uyvy"]));
    assert_eq!(see("odd.png"), see("even.png"));
}

#[test]
fn a_network_can_be_taught_what_a_camera_sees() {
    let desk = Desk::new();
    desk.pictures("new", &[("cherry", RED), ("sky", BLUE)], 20);
    desk.text(&[
        "tune",
        "m.ocl",
        "new",
        "-o",
        "t.ocl",
        "--camera",
        "yuyv:limited",
    ]);
    let report = desk.json(&["eval", "t.ocl", "new", "--camera", "yuyv:limited"]);
    assert_eq!(report["accuracy"], 1.0);
}

#[test]
fn a_frame_that_does_not_fit_is_named_with_a_remedy() {
    let desk = Desk::new();
    photo(30, 20).save(desk.path("a.png")).unwrap();
    photo(1, 20).save(desk.path("thin.png")).unwrap();
    let error = desk.error(&["run", "m.ocl", "a.png", "--camera", "grey:crop=20x20+0+11"]);
    assert!(
        error.starts_with("error: a.png: a frame of 30x20 pixels: the cut reaches out"),
        "{error}"
    );
    assert!(
        error.contains("give a crop=HxW+TOP+LEFT that lies inside"),
        "{error}"
    );
    let error = desk.error(&["run", "m.ocl", "thin.png", "--camera", "yuyv"]);
    assert!(
        error.contains("a frame of 1x20 pixels") && error.contains("larger photo"),
        "{error}"
    );
    // A photo of one column is enough for others.
    desk.text(&["run", "m.ocl", "thin.png", "--camera", "rgb565"]);
}

#[test]
fn a_camera_that_there_is_not_and_one_for_codes_are_wrong_usage() {
    let desk = Desk::new();
    fs::write(desk.path("in.bin"), [0; 192]).unwrap();
    let raw = ["run", "m.ocl", "--raw-input", "in.bin", "--raw-output", "o"];
    let wrong: [&[&str]; 3] = [
        &["run", "m.ocl", "a.png", "--camera", "bayer"],
        &["eval", "m.ocl", "known", "--camera", "grey:big"],
        &[&raw[..], &["--camera", "grey"]].concat(),
    ];
    for args in wrong {
        let said = desk.run(args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.stderr);
        assert!(said.stderr.contains("--camera"), "{}", said.stderr);
    }
}
