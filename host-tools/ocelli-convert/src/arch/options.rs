//! What users can say after an architecture's name.

use std::fmt::{self, Write};
use std::ops::RangeInclusive;

use super::Variant;
use crate::error::ImportError;

/// An option that a family may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knob {
    /// Channels, as a multiple of the usual ones.
    Width,
    /// Layers of each stage, as a multiple of the usual ones.
    Depth,
    /// Layers with weights.
    Layers,
    /// Rows and columns of the input where nothing else is said.
    Resolution,
    /// How borders are padded and what batch norms add to variances.
    Origin,
}

/// Which framework's padding and batch norms a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// As much padding on every side; batch norms with epsilon 1e-5.
    Torch,
    /// SAME padding, the odd row below and the odd column to the right; batch norms with epsilon 1e-3.
    TensorFlow,
}

const FACTORS: RangeInclusive<f64> = 0.05..=4.0;
const LAYERS: RangeInclusive<usize> = 4..=40;
const SIDES: RangeInclusive<usize> = 1..=4096;
const ORIGINS: [(&str, Origin); 2] = [("torch", Origin::Torch), ("tf", Origin::TensorFlow)];

impl Knob {
    const fn name(self) -> &'static str {
        match self {
            Knob::Width => "width",
            Knob::Depth => "depth",
            Knob::Layers => "layers",
            Knob::Resolution => "resolution",
            Knob::Origin => "origin",
        }
    }

    fn values(self) -> String {
        match self {
            Knob::Width | Knob::Depth => {
                format!("a number from {} to {}", FACTORS.start(), FACTORS.end())
            }
            Knob::Layers => format!(
                "one of {}, {}, {}, … up to {}",
                LAYERS.start(),
                LAYERS.start() + 3,
                LAYERS.start() + 6,
                LAYERS.end()
            ),
            Knob::Resolution => {
                format!("a whole number from {} to {}", SIDES.start(), SIDES.end())
            }
            Knob::Origin => "torch or tf".to_string(),
        }
    }
}

/// The values of all options; those that a family does not have stay as they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Options {
    pub(super) width: f64,
    pub(super) depth: f64,
    pub(super) resolution: usize,
    /// None: what the names of the weights suggest.
    pub(super) origin: Option<Origin>,
}

impl Options {
    fn usual(variant: &Variant) -> Self {
        Self {
            width: variant.width,
            depth: variant.depth,
            resolution: variant.side,
            origin: None,
        }
    }

    pub(super) fn parse(variant: &Variant, text: Option<&str>) -> Result<Self, ImportError> {
        let mut options = Self::usual(variant);
        let Some(text) = text else {
            return Ok(options);
        };
        let mut given: Vec<Knob> = Vec::new();
        for part in text.split(',') {
            let refuse = |why: String| ImportError::BadOption {
                arch: variant.name,
                option: part.to_string(),
                why,
                known: known(variant),
            };
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, value),
                None if given.is_empty() => (Knob::Width.name(), part),
                None => return Err(refuse("has no value".to_string())),
            };
            let knob = variant.knobs.iter().find(|knob| knob.name() == name);
            let Some(&knob) = knob else {
                return Err(refuse("is no option of it".to_string()));
            };
            if given.contains(&knob) {
                return Err(refuse("is said twice".to_string()));
            }
            if options.set(knob, value).is_none() {
                return Err(refuse(format!("is not {}", knob.values())));
            }
            given.push(knob);
        }
        Ok(options)
    }

    /// None where the value is not one of the option's.
    fn set(&mut self, knob: Knob, value: &str) -> Option<()> {
        let factor = || {
            let number: f64 = value.parse().ok()?;
            FACTORS.contains(&number).then_some(number)
        };
        match knob {
            Knob::Width => self.width = factor()?,
            Knob::Depth => self.depth = factor()?,
            Knob::Layers => {
                let layers: usize = value.parse().ok()?;
                let fits = LAYERS.contains(&layers) && layers % 3 == 1;
                self.depth = fits.then_some(layers as f64)?;
            }
            Knob::Resolution => {
                let side: usize = value.parse().ok()?;
                self.resolution = SIDES.contains(&side).then_some(side)?;
            }
            Knob::Origin => {
                let origin = ORIGINS.iter().find(|(name, _)| *name == value)?;
                self.origin = Some(origin.1);
            }
        }
        Some(())
    }

    fn value(&self, knob: Knob) -> String {
        match knob {
            Knob::Width => self.width.to_string(),
            Knob::Depth | Knob::Layers => self.depth.to_string(),
            Knob::Resolution => self.resolution.to_string(),
            Knob::Origin => {
                let origin = ORIGINS
                    .iter()
                    .find(|(_, origin)| Some(*origin) == self.origin);
                origin
                    .map_or("by the weights' names", |(name, _)| name)
                    .to_string()
            }
        }
    }

    /// `:…` with every option that is not as usual; nothing where all are.
    pub(super) fn write(&self, variant: &Variant, f: &mut impl Write) -> fmt::Result {
        let usual = Self::usual(variant);
        let mut before = ':';
        for &knob in variant.knobs {
            let value = self.value(knob);
            if value == usual.value(knob) {
                continue;
            }
            f.write_char(before)?;
            if knob != Knob::Width {
                write!(f, "{}=", knob.name())?;
            }
            f.write_str(&value)?;
            before = ',';
        }
        Ok(())
    }
}

/// Widths that people use, in ascending order.
pub(super) fn widths(variant: &Variant) -> Vec<f64> {
    with(variant.width, &[0.25, 0.35, 0.5, 0.75, 1.0, 1.4, 2.0])
}

/// Depths that make sense, in ascending order.
pub(super) fn depths(variant: &Variant) -> Vec<f64> {
    let has = |knob| variant.knobs.contains(&knob);
    let others: &[f64] = match () {
        () if has(Knob::Layers) => &[4.0, 7.0, 13.0, 16.0],
        () if has(Knob::Depth) => &[0.5, 0.75],
        () => &[],
    };
    with(variant.depth, others)
}

fn with(usual: f64, others: &[f64]) -> Vec<f64> {
    let mut all = others.to_vec();
    if !all.contains(&usual) {
        all.push(usual);
    }
    all.sort_by(f64::total_cmp);
    all
}

/// The options that an architecture has, for people.
pub(super) fn known(variant: &Variant) -> String {
    let usual = Options::usual(variant);
    let each = variant.knobs.iter().map(|&knob| {
        format!(
            "{}={} (default {})",
            knob.name(),
            knob.values(),
            usual.value(knob)
        )
    });
    each.collect::<Vec<_>>().join(", ")
}
