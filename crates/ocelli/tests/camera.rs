//! Camera rows against the definition of each pixel, in exact fractions and over the whole frame at once.

use ocelli::InputError;
use ocelli::camera::{ByteOrder, Camera, CameraError, CameraParams, Crop, PixelFormat, YuvRange};
use ocelli::kernels::Shape;

/// Bytes that look random.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let byte = |_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..count).map(byte).collect()
}

/// All rows that a frame comes to.
fn see(params: CameraParams, frame: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; params.buffer_words()];
    let mut camera = Camera::new(params, &mut buffer).expect("sound sizes");
    let mut seen = Vec::new();
    for row in frame.chunks(params.format.row_bytes(params.w)) {
        camera.push_row(row).expect("a needed row");
        while let Some(pixels) = camera.next_row() {
            seen.extend_from_slice(pixels);
        }
    }
    seen
}

/// What output `at` of `to` takes of each of `from` samples: weights, and what they add up to.
fn weights(at: usize, from: usize, to: usize) -> (Vec<u64>, u64) {
    let mut weights = vec![0; from];
    if from >= to {
        // The output covers from at * from / to to (at + 1) * from / to, a sample i to i + 1. In parts of 1 / to:
        for (sample, weight) in weights.iter_mut().enumerate() {
            let end = ((at + 1) * from).min((sample + 1) * to);
            let start = (at * from).max(sample * to);
            *weight = end.saturating_sub(start) as u64;
        }
        return (weights, from as u64);
    }
    // The output's middle is at (at + 1/2) * from / to, a sample's at i + 1/2. In parts of 1 / (2 * to):
    let whole = 2 * to as i64;
    let middle = ((2 * at + 1) * from) as i64 - to as i64;
    let last = from as i64 - 1;
    for (sample, weight) in [
        (middle.div_euclid(whole), whole - middle.rem_euclid(whole)),
        (middle.div_euclid(whole) + 1, middle.rem_euclid(whole)),
    ] {
        weights[sample.clamp(0, last) as usize] += weight as u64;
    }
    (weights, whole as u64)
}

/// The same of a frame of `[h, w, c]` bytes, value by value.
fn expected(frame: &[u8], params: CameraParams) -> Vec<u8> {
    let (crop, output) = (params.crop, params.output);
    let mut values = Vec::new();
    for y in 0..output.h {
        let (rows, row_unit) = weights(y, crop.h, output.h);
        for x in 0..output.w {
            let (columns, column_unit) = weights(x, crop.w, output.w);
            for c in 0..output.c {
                let mut sum = 0;
                for (r, row) in rows.iter().enumerate() {
                    for (k, column) in columns.iter().enumerate() {
                        let at = (crop.top + r) * params.w + crop.left + k;
                        sum += row * column * u64::from(frame[at * output.c + c]);
                    }
                }
                let unit = row_unit * column_unit;
                // The largest whole number that is no more than a half above.
                values.push(((2 * sum + unit) / (2 * unit)) as u8);
            }
        }
    }
    values
}

fn rgb888(frame: [usize; 2], crop: Crop, output: [usize; 2]) -> CameraParams {
    CameraParams {
        format: PixelFormat::Rgb888,
        h: frame[0],
        w: frame[1],
        crop,
        output: Shape::new(output[0], output[1], 3),
    }
}

#[test]
fn every_pair_of_small_sizes_equals_the_exact_fractions() {
    for h in 1..=9 {
        for w in 1..=9 {
            let frame = [h + 3, w + 2];
            let bytes = noise(3 * frame[0] * frame[1], (h * 10 + w) as u64);
            for out_h in 1..=9 {
                let (top, left, out_w) = (h % 4, w % 3, 1 + (out_h * 5 + w) % 9);
                let crop = Crop { top, left, h, w };
                let params = rgb888(frame, crop, [out_h, out_w]);
                assert_eq!(see(params, &bytes), expected(&bytes, params), "{params:?}");
                let grey = CameraParams {
                    format: PixelFormat::Grey,
                    output: Shape::new(out_h, out_w, 1),
                    ..params
                };
                let luma = &bytes[..frame[0] * frame[1]];
                assert_eq!(see(grey, luma), expected(luma, grey), "{grey:?}");
            }
        }
    }
}

#[test]
fn frames_of_cameras_equal_the_exact_fractions() {
    for (frame, output) in [
        ([48, 64], [32, 32]),
        ([60, 80], [22, 31]),
        ([24, 32], [50, 50]),
        // Rows become fewer and columns more, and the other way round.
        ([61, 7], [9, 23]),
        ([7, 61], [23, 9]),
    ] {
        let bytes = noise(3 * frame[0] * frame[1], 7);
        let params = rgb888(frame, Crop::central(frame, output), output);
        assert_eq!(see(params, &bytes), expected(&bytes, params), "{params:?}");
    }
}

/// A pixel of each colour as each format's bytes, and the colour that comes back.
#[test]
fn a_frame_of_one_colour_stays_one_in_every_format() {
    let both = |full, limited| [(YuvRange::Full, full), (YuvRange::Limited, limited)];
    let mut cases = vec![
        (PixelFormat::Grey, vec![77, 77], [77; 3], 77),
        (
            PixelFormat::Rgb888,
            vec![9, 200, 31, 9, 200, 31],
            [9, 200, 31],
            124,
        ),
        (
            PixelFormat::Rgb565(ByteOrder::Big),
            vec![0xF8, 0x1F, 0xF8, 0x1F],
            [255, 0, 255],
            105,
        ),
        (
            PixelFormat::Rgb565(ByteOrder::Little),
            vec![0xE0, 0x07, 0xE0, 0x07],
            [0, 255, 0],
            150,
        ),
    ];
    // 255 / 219 * 84 = 97.81; + 15.96 = 113.77; + 7.84 - 8.13 = 97.51; - 40.34 = 57.46.
    for (range, (rgb, luma)) in both(([114, 100, 65], 100), ([114, 98, 57], 98)) {
        cases.push((
            PixelFormat::Yuyv(range),
            vec![100, 108, 100, 138],
            rgb,
            luma,
        ));
        cases.push((
            PixelFormat::Uyvy(range),
            vec![108, 100, 138, 100],
            rgb,
            luma,
        ));
    }
    for (format, two_pixels, rgb, luma) in cases {
        for output in [[3, 3], [10, 10], [17, 5], [3, 40]] {
            let frame: Vec<u8> = two_pixels
                .iter()
                .copied()
                .cycle()
                .take(two_pixels.len() * 50)
                .collect();
            let mut params = CameraParams {
                format,
                h: 10,
                w: 10,
                crop: Crop {
                    top: 1,
                    left: 3,
                    h: 8,
                    w: 7,
                },
                output: Shape::new(output[0], output[1], 3),
            };
            let seen = see(params, &frame);
            assert_eq!(seen.len(), params.output.elems());
            assert!(
                seen.chunks(3).all(|pixel| pixel == rgb),
                "{params:?}: {seen:?}"
            );
            params.output.c = 1;
            let seen = see(params, &frame);
            assert_eq!(seen, vec![luma; output[0] * output[1]], "{params:?}");
        }
    }
}

#[test]
fn a_camera_of_the_networks_size_gives_its_pixels_as_they_are() {
    let frame = noise(3 * 20 * 30, 3);
    let params = rgb888([20, 30], Crop::central([20, 30], [20, 30]), [20, 30]);
    assert_eq!(see(params, &frame), frame);
}

#[test]
fn a_frame_that_was_left_in_the_middle_leaves_no_trace() {
    for output in [[5, 5], [30, 30]] {
        let params = rgb888([12, 12], Crop::central([12, 12], [1, 1]), output);
        let (old, frame) = (noise(3 * 144, 1), noise(3 * 144, 2));
        let mut buffer = vec![u32::MAX; params.buffer_words()];
        let mut camera = Camera::new(params, &mut buffer).expect("sound sizes");
        for row in old.chunks(36).take(7) {
            camera.push_row(row).expect("a needed row");
            while camera.next_row().is_some() {}
        }
        camera.reset();
        let mut seen = Vec::new();
        for row in frame.chunks(36) {
            camera.push_row(row).expect("a needed row");
            while let Some(pixels) = camera.next_row() {
                seen.extend_from_slice(pixels);
            }
        }
        assert_eq!(seen, expected(&frame, params));
    }
}

#[test]
fn rows_out_of_order_are_refused_and_change_nothing() {
    let params = rgb888([4, 4], Crop::central([4, 4], [1, 1]), [2, 2]);
    let frame = noise(48, 5);
    let mut buffer = vec![0; params.buffer_words()];
    let mut camera = Camera::new(params, &mut buffer).expect("sound sizes");
    let mut seen = Vec::new();
    for (r, row) in frame.chunks(12).enumerate() {
        let (needed, got) = (12, 11);
        let short = camera.push_row(&row[1..]);
        assert_eq!(short, Err(InputError::Length { needed, got }));
        camera.push_row(row).expect("a needed row");
        if r % 2 == 0 {
            assert_eq!(camera.next_row(), None);
            continue;
        }
        // Two rows make one, which has to be taken first.
        assert_eq!(camera.push_row(row), Err(InputError::NotNeeded));
        seen.extend_from_slice(camera.next_row().expect("a complete row"));
        assert_eq!(camera.next_row(), None);
    }
    assert_eq!(camera.push_row(&frame[..12]), Err(InputError::NotNeeded));
    assert_eq!(seen, expected(&frame, params));
}

#[test]
fn rows_below_the_cut_are_taken_and_not_needed() {
    let crop = Crop {
        top: 1,
        left: 0,
        h: 2,
        w: 2,
    };
    let params = rgb888([9, 2], crop, [1, 1]);
    let frame = noise(54, 6);
    assert_eq!(see(params, &frame), expected(&frame, params));
    // The rows of the cut are enough.
    assert_eq!(see(params, &frame[..18]), expected(&frame, params));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let sound = rgb888([8, 8], Crop::central([8, 8], [1, 1]), [4, 4]);
    let crop = sound.crop;
    let refused = |params: CameraParams| {
        let mut buffer = vec![0; 1000];
        Camera::new(params, &mut buffer).expect_err("refused")
    };
    let side = |params| assert_eq!(refused(params), CameraError::Side, "{params:?}");
    for bad in [0, 65_536, usize::MAX] {
        side(CameraParams { h: bad, ..sound });
        side(CameraParams { w: bad, ..sound });
        side(CameraParams {
            crop: Crop { h: bad, ..crop },
            ..sound
        });
        side(CameraParams {
            crop: Crop { w: bad, ..crop },
            ..sound
        });
        side(CameraParams {
            output: Shape::new(bad, 4, 3),
            ..sound
        });
        side(CameraParams {
            output: Shape::new(4, bad, 3),
            ..sound
        });
    }
    for bad in [1, usize::MAX] {
        for crop in [Crop { top: bad, ..crop }, Crop { left: bad, ..crop }] {
            assert_eq!(refused(CameraParams { crop, ..sound }), CameraError::Crop);
        }
    }
    for c in [0, 2, 4, usize::MAX] {
        let output = Shape::new(4, 4, c);
        let params = CameraParams { output, ..sound };
        assert_eq!(refused(params), CameraError::Channels { got: c });
    }
    let odd = CameraParams {
        format: PixelFormat::Uyvy(YuvRange::Full),
        w: 7,
        crop: Crop::central([8, 7], [1, 1]),
        ..sound
    };
    assert_eq!(refused(odd), CameraError::OddWidth);

    let needed = sound.buffer_words();
    for got in [0, 3, needed - 1] {
        let error = Camera::new(sound, &mut vec![0; got]).expect_err("refused");
        assert_eq!(error, CameraError::Buffer { needed, got });
    }
}

#[test]
fn the_largest_sums_fit_and_larger_ones_are_refused() {
    // 4,096 x 4,096 white pixels in one: 255 * 2^24, and half of 2^24 for rounding.
    let frame = [4096, 4096];
    let mut params = CameraParams {
        format: PixelFormat::Grey,
        h: 4096,
        w: 4096,
        crop: Crop::central(frame, [1, 1]),
        output: Shape::new(1, 1, 1),
    };
    assert_eq!(see(params, &vec![255; 4096 * 4096]), [255]);
    params.h += 1;
    params.crop.h += 1;
    let error = Camera::new(params, &mut [0; 2]).expect_err("refused");
    assert_eq!(error, CameraError::Scale);
}

#[test]
fn cuts_lie_in_the_middle_with_the_ratio_of_the_input() {
    let cut = |top, left, h, w| Crop { top, left, h, w };
    assert_eq!(Crop::central([480, 640], [1, 1]), cut(0, 80, 480, 480));
    assert_eq!(Crop::central([640, 480], [96, 96]), cut(80, 0, 480, 480));
    assert_eq!(Crop::central([480, 640], [1, 2]), cut(80, 0, 320, 640));
    assert_eq!(Crop::central([5, 8], [1, 1]), cut(0, 1, 5, 5));
    // One pixel at least, and nothing that divides by zero.
    assert_eq!(Crop::central([1, 9], [1000, 1]), cut(0, 4, 1, 1));
    assert_eq!(Crop::central([4, 4], [0, 0]), cut(1, 0, 1, 4));
    assert_eq!(Crop::central([0, usize::MAX], [9, 9]).h, 0);
}
