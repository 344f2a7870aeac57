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
}
