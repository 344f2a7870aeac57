//! A camera in the place of a photo: its rows go through the device's own code.

mod frame;

use std::str::FromStr;

use anyhow::{Result, anyhow};
use image::RgbImage;
use ocelli::camera::{ByteOrder, Camera, CameraError, CameraParams, Crop, PixelFormat, YuvRange};
use ocelli::{Image, Session};

/// What `--camera` takes, in short.
const SPELLINGS: &str = "grey, rgb888, rgb565[:little|big], yuyv[:full|limited] or uyvy[:full|limited], and \
                         crop=model|square|HxW+TOP+LEFT behind the colon or a comma";

/// The option of commands that look at photos.
#[derive(clap::Args, Clone, Copy)]
#[group(skip)]
pub struct Args {
    /// See photos as a camera sends them: rows of this format, cut out and resized by the device's code
    ///
    /// FORMAT is grey, rgb888, rgb565, yuyv or uyvy. Options stand behind a colon, with commas between them: big or little
    /// (rgb565: which byte comes first; big if not said), full or limited (YUV: the range of BT.601; full if not said), and
    /// what the network sees of a frame: crop=model (as the model image says of photos, if nothing is said),
    /// crop=square (in the middle) or crop=HxW+TOP+LEFT. A photo is a frame of its own size; YUV leaves an odd column out.
    #[arg(long, value_name = "FORMAT[:OPTION,…]")]
    pub camera: Option<Setup>,
}

/// A camera as the command line describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    format: PixelFormat,
    cut: Cut,
}

/// What the network sees of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// As the model image says of photos.
    Model,
    /// The largest square in the middle.
    Square,
    /// This part.
    Part(Crop),
}

impl FromStr for Setup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let mut setup = Self {
            format: match name {
                "grey" => PixelFormat::Grey,
                "rgb565" => PixelFormat::Rgb565(ByteOrder::Big),
                "rgb888" => PixelFormat::Rgb888,
                "yuyv" => PixelFormat::Yuyv(YuvRange::Full),
                "uyvy" => PixelFormat::Uyvy(YuvRange::Full),
                _ => return Err(format!("no camera sends {name:?}: give {SPELLINGS}")),
            },
            cut: Cut::Model,
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            setup
                .set(option)
                .ok_or_else(|| format!("{option:?} is no option of {name}: give {SPELLINGS}"))?;
        }
        Ok(setup)
    }
}

impl Setup {
    fn set(&mut self, option: &str) -> Option<()> {
        match (option, &mut self.format) {
            ("little", PixelFormat::Rgb565(order)) => *order = ByteOrder::Little,
            ("big", PixelFormat::Rgb565(order)) => *order = ByteOrder::Big,
            ("full", PixelFormat::Yuyv(range) | PixelFormat::Uyvy(range)) => {
                *range = YuvRange::Full;
            }
            ("limited", PixelFormat::Yuyv(range) | PixelFormat::Uyvy(range)) => {
                *range = YuvRange::Limited;
            }
            (option, _) => {
                self.cut = match option.strip_prefix("crop=")? {
                    "model" => Cut::Model,
                    "square" => Cut::Square,
                    part => Cut::Part(part_of_frame(part)?),
                };
            }
        }
        Some(())
    }

    /// Runs a network on a photo that comes row by row.
    ///
    /// # Errors
    /// A photo whose size does not go with the cut or the network; an input that the network refuses.
    pub fn run(&self, picture: &RgbImage, session: &mut Session<'_>) -> Result<()> {
        let params = self.params(session.image(), picture);
        let mut buffer = vec![0; params.buffer_words()];
        let mut camera = Camera::new(params, &mut buffer).map_err(|error| {
            let remedy = match error {
                CameraError::Crop => ": give a crop=HxW+TOP+LEFT that lies inside",
                CameraError::Scale => {
                    ": make the photo smaller, or give a smaller crop=HxW+TOP+LEFT"
                }
                CameraError::Side | CameraError::OddWidth => ": give a larger photo",
                CameraError::Channels { .. } | CameraError::Buffer { .. } => "",
            };
            let (width, height) = picture.dimensions();
            anyhow!("a frame of {width}x{height} pixels: {error}{remedy}")
        })?;
        session.reset();
        for row in frame::rows(picture, self.format) {
            camera.push_row(&row)?;
            while let Some(pixels) = camera.next_row() {
                session.push_row(pixels, &mut ())?;
            }
        }
        Ok(())
    }

    fn params(&self, image: &Image<'_>, picture: &RgbImage) -> CameraParams {
        let (width, height) = picture.dimensions();
        let frame = [height as usize, frame::width(width, self.format)];
        let mut params = CameraParams::for_image(image, self.format, frame);
        match self.cut {
            Cut::Model => {}
            Cut::Square => params.crop = Crop::central(frame, [1, 1]),
            Cut::Part(crop) => params.crop = crop,
        }
        params
    }
}

/// `HxW+TOP+LEFT`.
fn part_of_frame(text: &str) -> Option<Crop> {
    let (size, place) = text.split_once('+')?;
    let ((h, w), (top, left)) = (size.split_once('x')?, place.split_once('+')?);
    Some(Crop {
        top: top.parse().ok()?,
        left: left.parse().ok()?,
        h: h.parse().ok()?,
        w: w.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use ocelli::kernels::Shape;
    use ocelli_convert::preprocess::load_image;

    use super::*;

    #[test]
    fn every_spelling_is_understood() {
        let setup = |format, cut| Ok(Setup { format, cut });
        let big = PixelFormat::Rgb565(ByteOrder::Big);
        let little = PixelFormat::Rgb565(ByteOrder::Little);
        let limited = PixelFormat::Uyvy(YuvRange::Limited);
        let part = Cut::Part(Crop {
            top: 5,
            left: 0,
            h: 96,
            w: 128,
        });
        assert_eq!("grey".parse(), setup(PixelFormat::Grey, Cut::Model));
        assert_eq!("rgb565".parse(), setup(big, Cut::Model));
        assert_eq!("rgb565:little".parse(), setup(little, Cut::Model));
        assert_eq!(
            "rgb888:crop=square".parse(),
            setup(PixelFormat::Rgb888, Cut::Square)
        );
        assert_eq!("uyvy:limited,crop=96x128+5+0".parse(), setup(limited, part));
    }

    #[test]
    fn what_is_misspelt_is_named_with_what_there_is() {
        for wrong in [
            "",
            "bayer",
            "grey:big",
            "yuyv:little",
            "rgb565:crop=",
            "uyvy:crop=9x9",
        ] {
            let error = wrong.parse::<Setup>().expect_err("no camera");
            assert!(error.contains("rgb565[:little|big]"), "{error}");
        }
    }

    /// A real photo's pixels as the network sees them through a camera.
    fn see(picture: &RgbImage, params: CameraParams) -> Vec<u8> {
        let mut buffer = vec![0; params.buffer_words()];
        let mut camera = Camera::new(params, &mut buffer).expect("sound sizes");
        let mut seen = Vec::new();
        for row in frame::rows(picture, params.format) {
            camera.push_row(&row).expect("a needed row");
            while let Some(pixels) = camera.next_row() {
                seen.extend_from_slice(pixels);
            }
        }
        seen
    }

    /// The mean over the area of each output pixel, in floats, of the photo itself.
    fn areas(picture: &RgbImage, crop: Crop, side: usize) -> Vec<f64> {
        let scale = [crop.h, crop.w].map(|from| from as f64 / side as f64);
        let overlap = |at: usize, sample: usize, scale: f64| {
            let end = f64::min((at + 1) as f64 * scale, (sample + 1) as f64);
            (end - f64::max(at as f64 * scale, sample as f64)).max(0.0)
        };
        let mut values = Vec::new();
        for y in 0..side {
            for x in 0..side {
                let mut sum = [0.0; 3];
                for r in (y as f64 * scale[0]) as usize
                    ..crop.h.min(((y + 1) as f64 * scale[0]) as usize + 1)
                {
                    for k in (x as f64 * scale[1]) as usize
                        ..crop.w.min(((x + 1) as f64 * scale[1]) as usize + 1)
                    {
                        let weight = overlap(y, r, scale[0]) * overlap(x, k, scale[1]);
                        let pixel =
                            picture.get_pixel((crop.left + k) as u32, (crop.top + r) as u32);
                        for (sum, value) in sum.iter_mut().zip(pixel.0) {
                            *sum += weight * f64::from(value);
                        }
                    }
                }
                values.extend(sum.map(|sum| sum / (scale[0] * scale[1])));
            }
        }
        values
    }

    #[test]
    fn real_photos_come_through_every_format_as_the_means_of_their_areas() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/assets/photos");
        let side = 96;
        for name in ["astronaut.png", "chelsea.png", "coffee.png"] {
            let picture = load_image(format!("{folder}/{name}")).expect("cargo xtask fetch");
            let (w, h) = picture.dimensions();
            let frame = [h as usize, w as usize - w as usize % 2];
            let crop = Crop::central(frame, [1, 1]);
            let expected = areas(&picture, crop, side);
            // The most that values differ by in the mean, as colours are rounded and chroma is halved.
            for (spelling, most) in [
                ("rgb888", 0.26),
                ("rgb565:big", 1.0),
                ("rgb565:little", 1.0),
                ("yuyv:full", 0.5),
                ("yuyv:limited", 0.5),
                ("uyvy:full", 0.5),
                ("uyvy:limited", 0.5),
            ] {
                let setup: Setup = spelling.parse().expect("a camera");
                let params = CameraParams {
                    format: setup.format,
                    h: frame[0],
                    w: if setup.format.is_paired() {
                        frame[1]
                    } else {
                        w as usize
                    },
                    crop,
                    output: Shape::new(side, side, 3),
                };
                let seen = see(&picture, params);
                assert_eq!(seen.len(), expected.len());
                let errors = seen.iter().zip(&expected);
                let errors: Vec<f64> = errors
                    .map(|(&seen, expected)| (f64::from(seen) - expected).abs())
                    .collect();
                let mean = errors.iter().sum::<f64>() / errors.len() as f64;
                let largest = errors.iter().copied().fold(0.0, f64::max);
                assert!(mean < most, "{name} {spelling}: {mean}");
                if setup.format == PixelFormat::Rgb888 {
                    assert!(largest < 0.5 + 1e-6, "{name}: {largest}");
                }
            }
        }
    }
}
