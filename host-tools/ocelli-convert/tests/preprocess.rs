//! Pictures: decoding, resizing like Pillow, and what is refused.

mod support;

use std::fs;
use std::path::Path;

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use ocelli_convert::ImportError;
use ocelli_convert::preprocess::{Filter, Preprocess, load_image};
use support::{asset, reference};

#[test]
fn resized_pictures_equal_pillows() {
    let golden = fs::read_to_string(reference("mobilenet_v2_logits.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let chelsea = load_image(asset("photos/chelsea.png")).unwrap();
    let weave = RgbImage::from_fn(28, 28, |x, y| {
        Rgb([0, 1, 2].map(|c| ((x / 8) * (y / 8) * 37 + 59 * c + x * y / 16) as u8))
    });
    let cases = [
        ("chelsea_shrunk", &chelsea, Filter::Bilinear),
        ("chelsea_cubic", &chelsea, Filter::Bicubic),
        ("weave_grown", &weave, Filter::Bilinear),
    ];
    for (name, picture, filter) in cases {
        let golden = &golden["resized"][name];
        let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
        let side = number(&golden["crop"][0]);
        let preprocess = Preprocess {
            resize_shorter: number(&golden["resize_shorter"]) as u32,
            filter,
            ..Preprocess::imagenet(side as u32, side as u32)
        };
        let pixels = preprocess.pixels(picture).unwrap();
        assert_eq!(pixels.len(), side * side * 3);
        let step = number(&golden["step"]);
        let probed = (0..side).step_by(step).flat_map(|y| {
            let row = &pixels[y * side * 3..][..side * 3];
            row.chunks(3).step_by(step).flatten().copied()
        });
        let expected: Vec<u8> = serde_json::from_value(golden["pixels"].clone()).unwrap();
        let differences: Vec<u8> = probed
            .zip(&expected)
            .map(|(got, &expected)| got.abs_diff(expected))
            .collect();
        assert_eq!(differences.len(), expected.len());
        let other = differences.iter().filter(|&&by| by > 0).count();
        println!("{name}: {other} of {} differ by one", expected.len());
        assert!(differences.iter().all(|&by| by <= 1), "{name}");
        assert!(other * 100 <= expected.len(), "{name}: {other}");
    }
}

fn saved(dir: &Path, name: &str, save: impl FnOnce(&Path)) -> Result<RgbImage, ImportError> {
    let path = dir.join(name);
    save(&path);
    load_image(path)
}

#[test]
fn every_kind_of_picture_becomes_red_green_and_blue() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let grey = GrayImage::from_pixel(2, 1, Luma([77]));
    let picture = saved(dir, "grey.png", |path| grey.save(path).unwrap()).unwrap();
    assert_eq!(picture.get_pixel(1, 0).0, [77; 3]);

    // 200 * 128 / 255 + 255 * 127 / 255 = 100.4 + 127; fully transparent is white.
    let mut clear = RgbaImage::from_pixel(2, 1, Rgba([200, 0, 255, 128]));
    clear.put_pixel(1, 0, Rgba([1, 2, 3, 0]));
    let picture = saved(dir, "clear.png", |path| clear.save(path).unwrap()).unwrap();
    assert_eq!(picture.get_pixel(0, 0).0, [227, 127, 255]);
    assert_eq!(picture.get_pixel(1, 0).0, [255; 3]);

    let deep = ImageBuffer::from_pixel(1, 1, Rgb([0xffffu16, 0x8080, 0]));
    let picture = saved(dir, "deep.png", |path| deep.save(path).unwrap()).unwrap();
    assert_eq!(picture.get_pixel(0, 0).0, [255, 128, 0]);

    // The name says PNG, the content JPEG.
    let jpeg = RgbImage::from_pixel(8, 8, Rgb([10, 200, 30]));
    let picture = saved(dir, "photo.png", |path| {
        jpeg.save_with_format(path, image::ImageFormat::Jpeg)
            .unwrap();
    });
    let [r, g, b] = picture.unwrap().get_pixel(4, 4).0;
    assert!(r.abs_diff(10) < 4 && g.abs_diff(200) < 4 && b.abs_diff(30) < 4);
}

#[test]
fn damaged_and_foreign_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let error = saved(dir, "text.png", |path| fs::write(path, "hello").unwrap()).unwrap_err();
    assert!(error.to_string().contains("text.png"), "{error}");
    let whole = fs::read(asset("photos/chelsea.png")).unwrap();
    let half = &whole[..whole.len() / 2];
    let error = saved(dir, "half.png", |path| fs::write(path, half).unwrap()).unwrap_err();
    assert!(error.to_string().contains("half.png"), "{error}");
    let error = load_image(dir.join("none.png")).unwrap_err();
    assert!(matches!(error, ImportError::Io { .. }), "{error}");
    let long = GrayImage::new(20_000, 1);
    let error = saved(dir, "long.png", |path| long.save(path).unwrap()).unwrap_err();
    assert!(
        matches!(
            error,
            ImportError::PictureSize {
                width: 20_000,
                height: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn tall_wide_and_tiny_pictures_are_cropped_in_the_middle() {
    // Columns count up by one: resizing to the same size changes nothing.
    let wide = RgbImage::from_fn(11, 6, |x, y| Rgb([x as u8, y as u8, 0]));
    let preprocess = Preprocess {
        resize_shorter: 6,
        ..Preprocess::imagenet(4, 6)
    };
    let pixels = preprocess.pixels(&wide).unwrap();
    assert_eq!(pixels.len(), 4 * 6 * 3);
    // (11 - 6) / 2 = 2.5 rounds to even, 2; (6 - 4) / 2 = 1.
    assert_eq!(pixels[..3], [2, 1, 0]);
    let wider = RgbImage::from_fn(13, 6, |x, _| Rgb([x as u8, 0, 0]));
    // (13 - 6) / 2 = 3.5 rounds to even, 4.
    assert_eq!(preprocess.pixels(&wider).unwrap()[0], 4);
    for (width, height) in [(1, 1), (3, 50), (50, 3), (500, 499)] {
        let picture = RgbImage::from_pixel(width, height, Rgb([9, 8, 7]));
        let pixels = Preprocess::imagenet(96, 64).pixels(&picture).unwrap();
        assert_eq!(pixels, [9, 8, 7].repeat(96 * 64), "{width}x{height}");
    }
}

#[test]
fn preprocessing_that_cannot_be_done_is_refused() {
    let good = Preprocess::imagenet(224, 224);
    assert_eq!(good.resize_shorter, 256);
    assert_eq!(Preprocess::imagenet(96, 96).resize_shorter, 109);
    good.check().unwrap();
    let bad = [
        Preprocess {
            crop: (0, 224),
            ..good
        },
        Preprocess {
            crop: (224, 257),
            ..good
        },
        Preprocess {
            resize_shorter: 20_000,
            ..good
        },
        Preprocess {
            mean: [f32::NAN, 0.0, 0.0],
            ..good
        },
        Preprocess {
            std: [1.0, 0.0, 1.0],
            ..good
        },
        Preprocess::imagenet(u32::MAX, 1),
    ];
    let picture = RgbImage::new(4, 4);
    for preprocess in bad {
        let error = preprocess.pixels(&picture).unwrap_err();
        assert!(matches!(error, ImportError::Preprocess { .. }), "{error}");
    }
    // 1x65 would be 256x16640, and a picture without pixels has no shape at all.
    for (width, height) in [(1, 65), (65, 1), (0, 3), (0, 0)] {
        let error = good.pixels(&RgbImage::new(width, height)).unwrap_err();
        assert!(error.to_string().contains("cannot be resized"), "{error}");
    }
}

#[test]
fn normalizing_is_torchvisions_arithmetic() {
    let preprocess = Preprocess::imagenet(1, 1);
    let values = preprocess.normalize(&[0, 255, 128]);
    let expected = [
        (0.0 - 0.485) / 0.229,
        (1.0 - 0.456) / 0.224,
        (128.0 / 255.0 - 0.406) / 0.225,
    ];
    assert_eq!(values, expected);
}

#[test]
fn preprocessing_survives_serialization() {
    let preprocess = Preprocess::imagenet(96, 128);
    let text = serde_json::to_string(&preprocess).unwrap();
    assert!(
        text.contains(r#""crop":[96,128],"filter":"bilinear""#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<Preprocess>(&text).unwrap(),
        preprocess
    );
    for filter in [Filter::Bilinear, Filter::Bicubic] {
        assert_eq!(Filter::from_code(filter.code()), Some(filter));
    }
    assert_eq!(Filter::from_code(2), None);
}
