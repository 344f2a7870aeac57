//! From a picture file to the network's input: decode, resize, crop, normalize.

use std::io::Cursor;
use std::path::Path;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use crate::error::ImportError;

/// The longest side of a picture, before and after resizing.
pub const MAX_PICTURE_SIDE: u32 = 16_384;

/// How pixels are weighed when resizing; both widen their support when shrinking, as Pillow does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Cubic with a = -0.5.
    Bicubic,
}

impl Filter {
    /// The filter's number in files.
    pub const fn code(self) -> u8 {
        match self {
            Filter::Bilinear => 0,
            Filter::Bicubic => 1,
        }
    }

    /// The filter with this number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Filter::Bilinear),
            1 => Some(Filter::Bicubic),
            _ => None,
        }
    }
}

/// What is done to a picture before the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Pixels of the shorter side after resizing; the aspect ratio stays.
    pub resize_shorter: u32,
    /// Height and width cut from the middle: the network's input.
    pub crop: (u32, u32),
    /// How pixels are weighed.
    pub filter: Filter,
    /// Taken off each channel, after division by 255.
    pub mean: [f32; 3],
    /// What each channel is divided by then.
    pub std: [f32; 3],
}

impl Preprocess {
    /// torchvision's for ImageNet classifiers: the crop is seven eighths of the shorter side.
    pub fn imagenet(crop_h: u32, crop_w: u32) -> Self {
        let longer = u64::from(crop_h.max(crop_w));
        Self {
            resize_shorter: u32::try_from(longer * 8 / 7).unwrap_or(u32::MAX),
            crop: (crop_h, crop_w),
            filter: Filter::Bilinear,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// Checks the fields against each other.
    ///
    /// # Errors
    /// A crop that is empty or larger than the resized picture, a size beyond
    /// [`MAX_PICTURE_SIDE`], a mean or std that is not finite, a std that is not positive.
    pub fn check(&self) -> Result<(), ImportError> {
        let refuse = |why: String| Err(ImportError::Preprocess { why });
        let (h, w) = self.crop;
        if h == 0 || w == 0 || h.max(w) > self.resize_shorter {
            return refuse(format!(
                "a crop of {h}x{w} does not fit a shorter side of {}",
                self.resize_shorter
            ));
        }
        if self.resize_shorter > MAX_PICTURE_SIDE {
            return refuse(format!(
                "a shorter side of {} is more than {MAX_PICTURE_SIDE}",
                self.resize_shorter
            ));
        }
        if self.mean.iter().chain(&self.std).any(|x| !x.is_finite())
            || self.std.iter().any(|&std| std <= 0.0)
        {
            return refuse("mean and std must be finite, std positive".to_string());
        }
        Ok(())
    }

    /// The picture's pixels as the network sees them, before normalizing.
    ///
    /// # Shapes
    /// The result is `[crop_h][crop_w][3]`, red first.
    ///
    /// # Errors
    /// As [`Preprocess::check`], and a picture that is empty or so long that it would be longer
    /// than [`MAX_PICTURE_SIDE`] when resized.
    ///
    /// # Source
    /// torchvision's `Resize` and `CenterCrop` on Pillow images, from which single pixels may differ by one.
    pub fn pixels(&self, picture: &RgbImage) -> Result<Vec<u8>, ImportError> {
        self.check()?;
        let (width, height) = picture.dimensions();
        let (new_width, new_height) = self.resized(width, height)?;
        let resized = if (new_width, new_height) == (width, height) {
            picture.as_raw().clone()
        } else {
            resize(picture, new_width, new_height, self.filter)
                .map_err(|why| ImportError::Preprocess { why })?
        };
        let (crop_h, crop_w) = self.crop;
        let top = centred(new_height, crop_h);
        let left = 3 * centred(new_width, crop_w);
        let rows = resized.chunks_exact(3 * new_width as usize).skip(top);
        let rows = rows.take(crop_h as usize);
        Ok(rows
            .flat_map(|row| &row[left..left + 3 * crop_w as usize])
            .copied()
            .collect())
    }

    /// Width and height after resizing, the longer side rounded down.
    fn resized(&self, width: u32, height: u32) -> Result<(u32, u32), ImportError> {
        let (shorter, longer) = (width.min(height), width.max(height));
        let wanted = u64::from(self.resize_shorter) * u64::from(longer);
        let longer = wanted.checked_div(u64::from(shorter));
        let longer = longer.and_then(|side| u32::try_from(side).ok());
        match longer.filter(|&side| side <= MAX_PICTURE_SIDE) {
            Some(longer) if width <= height => Ok((self.resize_shorter, longer)),
            Some(longer) => Ok((longer, self.resize_shorter)),
            None => Err(ImportError::Preprocess {
                why: format!(
                    "a picture of {width}x{height} pixels cannot be resized to a shorter side of {}: \
                     the longer one may have {MAX_PICTURE_SIDE} at most",
                    self.resize_shorter
                ),
            }),
        }
    }

    /// The real number that a pixel's value stands for in a channel.
    pub fn value(&self, pixel: u8, channel: usize) -> f32 {
        (f32::from(pixel) / 255.0 - self.mean[channel]) / self.std[channel]
    }

    /// The network's input in f32, from what [`Preprocess::pixels`] gave.
    pub fn normalize(&self, pixels: &[u8]) -> Vec<f32> {
        let channels = (0..3).cycle();
        let each = pixels.iter().zip(channels);
        each.map(|(&pixel, channel)| self.value(pixel, channel))
            .collect()
    }
}

/// Where a crop in the middle begins; an odd rest is split as Python rounds, half to even.
fn centred(side: u32, crop: u32) -> usize {
    let rest = (side - crop) as usize;
    let half = rest / 2;
    half + ((rest % 2) & (half % 2))
}

/// Columns first, then rows, each rounded to whole values: Pillow's order.
///
/// Left to itself the resizer takes the rows first, and one value in five comes out different by one.
fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<Vec<u8>, String> {
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    let (old_width, old_height) = picture.dimensions();
    let narrowed = resize_once(
        picture.as_raw(),
        (old_width, old_height),
        (width, old_height),
        &options,
    )?;
    resize_once(&narrowed, (width, old_height), (width, height), &options)
}

fn resize_once(
    pixels: &[u8],
    (old_width, old_height): (u32, u32),
    (width, height): (u32, u32),
    options: &ResizeOptions,
) -> Result<Vec<u8>, String> {
    let source = TypedImageRef::<U8x3>::from_buffer(old_width, old_height, pixels)
        .map_err(|error| error.to_string())?;
    let mut resized = vec![0; 3 * width as usize * height as usize];
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut resized)
        .map_err(|error| error.to_string())?;
    // Typed: `resize` would compile the code of every pixel type there is, which takes minutes.
    Resizer::new()
        .resize_typed(&source, &mut target, options)
        .map_err(|error| error.to_string())?;
    Ok(resized)
}

/// Reads a PNG or JPEG file, told apart by content.
///
/// Grey becomes equal colours and 16 bits become 8; transparent pixels are laid on white. A camera's note of how it was
/// held (EXIF orientation) is not followed, as torchvision's loader does not follow it.
///
/// # Errors
/// A file that cannot be read or decoded, or with a side beyond [`MAX_PICTURE_SIDE`].
pub fn load_image(path: impl AsRef<Path>) -> Result<RgbImage, ImportError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let unreadable = |why: String| ImportError::Picture {
        path: path.to_path_buf(),
        why,
    };
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| unreadable(error.to_string()))?;
    let decoder = reader
        .into_decoder()
        .map_err(|error| unreadable(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MAX_PICTURE_SIDE {
        return Err(ImportError::PictureSize {
            path: path.to_path_buf(),
            width,
            height,
            max: MAX_PICTURE_SIDE,
        });
    }
    if width.min(height) == 0 {
        return Err(unreadable("it has no pixels".to_string()));
    }
    let picture =
        DynamicImage::from_decoder(decoder).map_err(|error| unreadable(error.to_string()))?;
    if !picture.color().has_alpha() {
        return Ok(picture.into_rgb8());
    }
    let rgba = picture.into_rgba8();
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let [r, g, b, alpha] = rgba.get_pixel(x, y).0;
        image::Rgb([r, g, b].map(|value| on_white(value, alpha)))
    }))
}

fn on_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u16::from(value), u16::from(alpha));
    let mixed = value * alpha + 255 * (255 - alpha);
    // Below 256: a mean of two values below 256.
    ((mixed + 127) / 255) as u8
}
