//! Model images in memory, and images run through them on all cores.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use indicatif::ProgressBar;
use ocelli::{Image, InputError, KernelTable, OpKind, ParseError, Session};
use ocelli_convert::compare::Arena;
use ocelli_convert::preprocess::{Preprocess, load_image};
use ocelli_image::ImageBuffer;
use rayon::prelude::*;

use crate::camera;
use crate::inspect::shape;

/// Every kernel: the host lacks none.
pub static KERNELS: KernelTable = KernelTable::all();

/// Images that a thread takes at a time: few enough that all threads end at about the same moment.
const IMAGES_AT_ONCE: usize = 8;

/// A model image's file, read.
pub struct ModelFile {
    path: PathBuf,
    buffer: ImageBuffer,
}

impl ModelFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path: path.to_path_buf(),
            buffer: ImageBuffer::new(&bytes),
        })
    }

    /// Checks it at the door, and that it can run.
    pub fn parse(&self) -> Result<Model<'_>> {
        let image = self.buffer.parse().map_err(|error| {
            let remedy = match error {
                ParseError::Version { .. } | ParseError::SectionUnknown { .. } => "",
                ParseError::Magic => ": give a file that `ocelli convert` or `ocelli tune` wrote",
                _ => ": copy it again, or convert it anew",
            };
            anyhow!("{}: {error}{remedy}", self.path.display())
        })?;
        let model = Model {
            path: &self.path,
            image,
        };
        model.session(|_| ())?;
        Ok(model)
    }
}

/// A model that can run.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    /// The file that it came from.
    pub path: &'a Path,
    /// The checked image.
    pub image: Image<'a>,
}

impl Model<'_> {
    /// Calls `f` with a session in memory of its own.
    pub fn session<T>(&self, f: impl FnOnce(&mut Session<'_>) -> T) -> Result<T> {
        let mut arena = Arena::new(&self.image);
        let mut session = Session::new(&self.image, arena.bytes(), &KERNELS)
            .map_err(|error| self.wrong(format!("{error}: convert it anew")))?;
        Ok(f(&mut session))
    }

    /// How photos become this model's pixels.
    pub fn preprocess(&self) -> Result<Preprocess> {
        let record = self.image.preprocess().ok_or_else(|| {
            self.wrong(
                "the image does not say how pixels become codes: give codes (--raw-input of `ocelli run` and `ocelli verify`)",
            )
        })?;
        let input = self.image.input();
        Preprocess::from_record(record, input.h, input.w).map_err(|error| self.wrong(error))
    }

    /// The names of the classes, one for each output.
    pub fn labels(&self) -> Result<Vec<&str>> {
        let labels: Vec<&str> = self.image.labels().collect();
        let outputs = self.image.output().elems();
        match labels.len() {
            0 => Err(self.wrong(
                "the image has no labels: convert it with --labels, or tune it, which takes the folders' names",
            )),
            count if count != outputs => Err(self.wrong(format!(
                "{count} labels for {outputs} outputs: convert it with the right --labels"
            ))),
            _ => Ok(labels),
        }
    }

    /// A file of one or more samples, each as many codes as the input has.
    pub fn read_codes(&self, path: &Path) -> Result<Vec<i8>> {
        let named = || path.display().to_string();
        let bytes = std::fs::read(path).with_context(named)?;
        let input = self.image.input();
        if bytes.is_empty() || !bytes.len().is_multiple_of(input.elems()) {
            return Err(anyhow!(
                "{}: {} bytes are no whole number of samples: one is {} codes ({})",
                named(),
                bytes.len(),
                input.elems(),
                shape(&input),
            ));
        }
        Ok(bytes.into_iter().map(u8::cast_signed).collect())
    }

    /// Runs photos, or frames of a camera, on all cores and gives back what `f` sees in the session after each, in their order.
    pub fn run_photos<P, T>(
        &self,
        photos: &[P],
        camera: camera::Args,
        bar: &ProgressBar,
        f: impl Fn(&Session<'_>) -> T + Sync,
    ) -> Result<Vec<T>>
    where
        P: AsRef<Path> + Sync,
        T: Send,
    {
        let preprocess = self.preprocess()?;
        let one = |session: &mut Session<'_>, photo: &Path| {
            let picture = load_image(photo)?;
            let named = || photo.display().to_string();
            if let Some(camera) = camera.camera {
                camera.run(&picture, session).with_context(named)?;
            } else {
                let pixels = preprocess.pixels(&picture).with_context(named)?;
                session
                    .run_pixels(&pixels, &mut ())
                    .map_err(|error| self.input_error(error))?;
            }
            bar.inc(1);
            Ok(f(session))
        };
        let some = |photos: &[P]| -> Result<Vec<T>> {
            self.session(|session| {
                photos
                    .iter()
                    .map(|photo| one(session, photo.as_ref()))
                    .collect()
            })?
        };
        let parts: Result<Vec<Vec<T>>> = photos.par_chunks(IMAGES_AT_ONCE).map(some).collect();
        bar.finish_and_clear();
        Ok(parts?.into_iter().flatten().collect())
    }

    /// The real meaning of the output, where it is known: each class's share of one.
    ///
    /// A network that ends in a softmax says so itself; otherwise its output is taken for logits.
    pub fn probabilities(&self, codes: &[i8]) -> Option<Vec<f32>> {
        let last = self.image.op_count().checked_sub(1)?;
        if self.image.op_kind(last) == Some(OpKind::Softmax) {
            let share = |&code: &i8| (f32::from(code) + 128.0) / 256.0;
            return Some(codes.iter().map(share).collect());
        }
        let scale = self.image.tensor_scale(self.image.op_count())?;
        let largest = codes.iter().copied().max()?;
        let powers: Vec<f32> = codes
            .iter()
            .map(|&code| (scale * (f32::from(code) - f32::from(largest))).exp())
            .collect();
        let sum: f32 = powers.iter().sum();
        Some(powers.into_iter().map(|power| power / sum).collect())
    }

    /// An error about this file.
    pub fn wrong(&self, what: impl Display) -> anyhow::Error {
        anyhow!("{}: {what}", self.path.display())
    }

    /// An error about an input of this model.
    pub fn input_error(&self, error: InputError) -> anyhow::Error {
        self.wrong(error)
    }
}
