//! Architectures that can be rebuilt from nothing but a state dict.
//!
//! A state dict has no structure, so each architecture is written down here, one file each: a function that asks
//! `Params` for its tensors in the order of the network and pushes ops. It serves files and random weights alike.

use crate::error::{GraphError, ImportError};
use crate::graph::{Graph, Shape};
use crate::weights::StateDict;

mod mobilenet_v2;
mod params;

use params::Params;

/// A family of networks with one construction rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    MobileNetV2,
}

/// All families by the name that users give.
const FAMILIES: [(&str, Family); 1] = [("mobilenet_v2", Family::MobileNetV2)];

/// A network architecture with its width multiplier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arch {
    name: &'static str,
    family: Family,
    width: f64,
}

/// What a builder needs to know beside the weights.
struct Spec {
    /// Rows, columns and channels of the input.
    input: Shape,
    /// Width multiplier.
    width: f64,
    /// Number of classes, if not the one in the file.
    classes: Option<usize>,
}

impl Arch {
    /// Reads a name with an optional width multiplier: `mobilenet_v2`, `mobilenet_v2:0.35`.
    ///
    /// # Errors
    /// An unknown name, or a multiplier that is no number from 0.05 to 4.
    ///
    /// # Example
    /// ```
    /// use ocelli_convert::arch::Arch;
    /// assert_eq!(Arch::parse("mobilenet_v2:0.35")?.to_string(), "mobilenet_v2:0.35");
    /// # Ok::<(), ocelli_convert::ImportError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ImportError> {
        let (name, width) = match text.split_once(':') {
            Some((name, width)) => (name, Some(width)),
            None => (text, None),
        };
        let Some(&(name, family)) = FAMILIES.iter().find(|(known, _)| *known == name) else {
            let supported: Vec<&str> = Self::names().collect();
            return Err(ImportError::UnknownArch {
                name: name.to_string(),
                supported: supported.join(", "),
            });
        };
        let width = match width {
            None => 1.0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|width| (0.05..=4.0).contains(width))
                .ok_or_else(|| ImportError::BadWidth {
                    name: name.to_string(),
                    width: text.to_string(),
                })?,
        };
        Ok(Self {
            name,
            family,
            width,
        })
    }

    /// The names that [`Arch::parse`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().map(|(name, _)| *name)
    }

    /// The network with these weights, batch norms and activations still by themselves.
    ///
    /// With `classes` other than the file's number, or for a file without a classifier, the classifier is a new one:
    /// small random weights of a fixed seed, to be trained before it means anything.
    ///
    /// # Errors
    /// The first tensor that is missing or has another shape than needed, tensors that the
    /// architecture does not use, an input or a number of classes that the network cannot have.
    pub fn build(
        &self,
        weights: &StateDict,
        input_h: usize,
        input_w: usize,
        classes: Option<usize>,
    ) -> Result<Graph, ImportError> {
        let mut params = Params::of(self.name, weights);
        let graph = self.construct(&mut params, input_h, input_w, classes)?;
        params.all_used()?;
        Ok(graph)
    }

    /// The network with seeded random weights, the same on every machine.
    ///
    /// # Errors
    /// An input or a number of classes that the network cannot have.
    pub fn random(
        &self,
        seed: u64,
        input_h: usize,
        input_w: usize,
        classes: usize,
    ) -> Result<Graph, ImportError> {
        let mut params = Params::random(self.name, seed);
        self.construct(&mut params, input_h, input_w, Some(classes))
    }

    /// The weights of [`Arch::random`] as a state dict with torchvision's names.
    ///
    /// # Errors
    /// As [`Arch::random`].
    pub fn random_weights(&self, seed: u64, classes: usize) -> Result<StateDict, ImportError> {
        let mut params = Params::random(self.name, seed);
        // No weight's shape depends on the input's size.
        self.construct(&mut params, 32, 32, Some(classes))?;
        Ok(params.into_made())
    }

    fn construct(
        &self,
        params: &mut Params,
        input_h: usize,
        input_w: usize,
        classes: Option<usize>,
    ) -> Result<Graph, ImportError> {
        if let Some(c) = classes
            && !(1..=Shape::MAX_SIDE).contains(&c)
        {
            return Err(ImportError::Graph(GraphError::Size {
                tensor: "classifier".to_string(),
                shape: Shape::new(1, 1, c),
            }));
        }
        let spec = Spec {
            input: Shape::new(input_h, input_w, 3),
            width: self.width,
            classes,
        };
        match self.family {
            Family::MobileNetV2 => mobilenet_v2::build(params, &spec),
        }
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        if self.width != 1.0 {
            write!(f, ":{}", self.width)?;
        }
        Ok(())
    }
}
