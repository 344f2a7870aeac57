//! What users bring: a file of any supported kind becomes a network, with how pictures become its input.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use ocelli_image::{Model, PreprocessRecord, ResizeFilter};
use zerocopy::little_endian::{F32, U16};

use crate::arch::Arch;
use crate::error::{ConvertError, ImportError};
use crate::graph::Graph;
use crate::grid::{Grid, Quantization};
use crate::passes::canonicalize;
use crate::preprocess::{Filter, Preprocess};
use crate::quantize::quantize;
use crate::tflite::Precision;
use crate::{onnx, tflite, weights};

/// A network as its file has it.
pub enum Network {
    /// Real numbers: to be quantized. Canonical.
    Float(Graph),
    /// Codes already: taken over.
    Int8(Box<Model>),
}

impl Network {
    /// Reads a file; what it is, its content says.
    ///
    /// Weights need an architecture, and may have an input size and a number of classes; other files have them.
    ///
    /// # Errors
    /// [`ConvertError`], naming the tensor, node or option.
    pub fn load(
        path: &Path,
        arch: Option<&Arch>,
        input: Option<(usize, usize)>,
        classes: Option<usize>,
    ) -> Result<Self, ConvertError> {
        let kind = FileKind::of(path)?;
        if kind == FileKind::Weights {
            let arch = arch.ok_or(ConvertError::NeedsArch)?;
            let (h, w) = input.unwrap_or(arch.default_input());
            let graph = arch.build(&weights::load(path)?, h, w, classes)?;
            return Ok(Network::Float(canonicalize(graph)?));
        }
        let given = [
            ("--arch", arch.is_some()),
            ("--input", input.is_some()),
            ("--classes", classes.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(ConvertError::HasItAlready { option });
        }
        if kind == FileKind::Tflite {
            let bytes = std::fs::read(path).map_err(|source| ImportError::Io {
                path: path.to_path_buf(),
                source,
            })?;
            return Ok(match tflite::precision(&bytes, path)? {
                Precision::Int8 => Network::Int8(Box::new(tflite::import_bytes(&bytes, path)?)),
                Precision::Float => {
                    Network::Float(canonicalize(tflite::import_float_bytes(&bytes, path)?)?)
                }
            });
        }
        let imported = onnx::import(path)?;
        let graph = canonicalize(imported.graph)?;
        Ok(match imported.quantization {
            None => Network::Float(graph),
            Some(mut prescribed) => {
                let graph = prescribed.settle(graph);
                let grid = Grid::prescribed(&graph, &prescribed.tensors, &prescribed.weights)?;
                Network::Int8(Box::new(quantize(&graph, &grid)?))
            }
        })
    }
}

/// The kinds of files that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    /// A state dict: names and tensors.
    Weights,
    /// TensorFlow Lite.
    Tflite,
    /// ONNX, which has no magic number: known by the file's name.
    Onnx,
}

impl FileKind {
    fn of(path: &Path) -> Result<Self, ImportError> {
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
        read.map_err(|source| ImportError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        let extension = path.extension().unwrap_or_default();
        Ok(if tflite::is_tflite(&start) {
            FileKind::Tflite
        } else if extension.eq_ignore_ascii_case("onnx") {
            FileKind::Onnx
        } else {
            FileKind::Weights
        })
    }
}

/// What a user says about pictures; the rest is the architecture's custom, or ImageNet's.
#[derive(Debug, Clone, Copy, Default)]
pub struct PictureOptions {
    /// How pixel values become numbers.
    pub normalize: Option<Normalize>,
    /// Pixels of the shorter side before the middle is cut out.
    pub resize: Option<u32>,
    /// How pixels are weighed when resizing.
    pub filter: Option<Filter>,
}

impl PictureOptions {
    /// The preprocessing for an input of this size.
    ///
    /// # Errors
    /// As [`Preprocess::check`], and an input that has not the three channels of pictures.
    pub fn preprocess(
        &self,
        arch: Option<&Arch>,
        [h, w, c]: [usize; 3],
    ) -> Result<Preprocess, ConvertError> {
        if c != 3 {
            return Err(ConvertError::NoPictures { channels: c });
        }
        let (h, w) = (side(h)?, side(w)?);
        let custom = match arch {
            Some(arch) => arch.preprocess(h, w),
            None => Preprocess::imagenet(h, w),
        };
        let Normalize { mean, std } = self.normalize.unwrap_or(Normalize {
            mean: custom.mean,
            std: custom.std,
        });
        let preprocess = Preprocess {
            mean,
            std,
            resize_shorter: self.resize.unwrap_or(custom.resize_shorter),
            filter: self.filter.unwrap_or(custom.filter),
            crop: custom.crop,
        };
        preprocess.check()?;
        Ok(preprocess)
    }
}

/// How pixel values become numbers: `(pixel / 255 - mean) / std`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// Of each channel, in 0 to 1.
    pub mean: [f32; 3],
    /// Of each channel, in 0 to 1.
    pub std: [f32; 3],
}

/// A name (`imagenet`, `unit`: 0 to 1, `signed`: -1 to 1, `raw`: 0 to 255) or `MEAN/STD` in units of pixel values, each one
/// number or three: `128/128`, `123.675,116.28,103.53/58.395,57.12,57.375`.
impl FromStr for Normalize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = |mean: f32, std: f32| Normalize {
            mean: [mean / 255.0; 3],
            std: [std / 255.0; 3],
        };
        match text {
            "imagenet" => {
                let Preprocess { mean, std, .. } = Preprocess::imagenet(224, 224);
                return Ok(Normalize { mean, std });
            }
            "unit" => return Ok(all(0.0, 255.0)),
            "signed" => return Ok(all(127.5, 127.5)),
            "raw" => return Ok(all(0.0, 1.0)),
            _ => {}
        }
        let wanted = || {
            "give imagenet, unit (0 to 1), signed (-1 to 1), raw (0 to 255) or MEAN/STD in pixel values, each one number \
             or three: 128/128"
                .to_string()
        };
        let channels = |text: &str| {
            let numbers: Vec<f32> = text
                .split(',')
                .map(|number| number.parse().map_err(|_| wanted()))
                .collect::<Result<_, _>>()?;
            match *numbers.as_slice() {
                [one] => Ok([one / 255.0; 3]),
                [r, g, b] => Ok([r, g, b].map(|number| number / 255.0)),
                _ => Err(wanted()),
            }
        };
        let (mean, std) = text.split_once('/').ok_or_else(wanted)?;
        Ok(Normalize {
            mean: channels(mean)?,
            std: channels(std)?,
        })
    }
}

fn side(pixels: usize) -> Result<u32, ConvertError> {
    u32::try_from(pixels)
        .map_err(|_| ConvertError::Load(format!("an input of {pixels} pixels is too large")))
}

/// The preprocessing as the image stores it, with the code of every pixel value.
pub(crate) fn preprocess_record(
    preprocess: &Preprocess,
    input: Quantization,
) -> Result<PreprocessRecord, ConvertError> {
    let code = |channel: usize, value: usize| input.code(preprocess.value(value as u8, channel));
    let filter = match preprocess.filter {
        Filter::Bilinear => ResizeFilter::Bilinear,
        Filter::Bicubic => ResizeFilter::Bicubic,
    };
    let resize_shorter = u16::try_from(preprocess.resize_shorter).map_err(|_| {
        ConvertError::Load("photos are resized to more than 65,535 pixels".to_string())
    })?;
    Ok(PreprocessRecord {
        table: std::array::from_fn(|channel| std::array::from_fn(|value| code(channel, value))),
        resize_shorter: U16::new(resize_shorter),
        filter: filter.number(),
        reserved: 0,
        mean: preprocess.mean.map(F32::new),
        std: preprocess.std.map(F32::new),
    })
}

impl Preprocess {
    /// The preprocessing that an image stores, for an input of this size.
    ///
    /// # Errors
    /// As [`Preprocess::check`].
    pub fn from_record(
        record: &PreprocessRecord,
        h: usize,
        w: usize,
    ) -> Result<Self, ConvertError> {
        let preprocess = Preprocess {
            resize_shorter: record.resize_shorter.get().into(),
            crop: (side(h)?, side(w)?),
            filter: match ResizeFilter::from_number(record.filter) {
                Some(ResizeFilter::Bicubic) => Filter::Bicubic,
                _ => Filter::Bilinear,
            },
            mean: record.mean.map(|mean| mean.get()),
            std: record.std.map(|std| std.get()),
        };
        preprocess.check()?;
        Ok(preprocess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizations_are_read_in_units_of_pixels() {
        let of = |text: &str| text.parse::<Normalize>();
        let tiny = of("128/128").expect("two numbers");
        assert_eq!((tiny.mean[0] * 255.0, tiny.std[2] * 255.0), (128.0, 128.0));
        let raw = of("raw").expect("a name");
        assert_eq!((raw.mean[1], raw.std[1]), (0.0, 1.0 / 255.0));
        let three = of("1,2,3/4").expect("three numbers and one");
        assert_eq!(
            three.mean.map(|mean| (mean * 255.0).round()),
            [1.0, 2.0, 3.0]
        );
        for wrong in ["", "1", "1/", "1,2/3", "a/b"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
