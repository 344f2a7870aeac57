//! Architectures that can be rebuilt from nothing but a state dict.
//!
//! A state dict has no structure, so each family of architectures is written down here, one file each: tables of its
//! sizes, and a function that asks `Params` for its tensors in the order of the network and pushes ops. It serves files
//! and random weights alike.

use std::fmt;

use crate::error::{GraphError, ImportError};
use crate::graph::{Graph, Shape};
use crate::preprocess::{Filter, Preprocess};
use crate::weights::StateDict;

mod builder;
mod cnn;
mod convnext;
mod efficientnet;
mod inverted_residual;
mod mobilenet_v1;
mod mobilenet_v2;
mod options;
mod params;
mod resnet;

pub use options::Origin;
use options::{Knob, Options};
use params::Params;

/// Makes a network out of weights.
type Build = fn(&mut Params<'_>, &Spec) -> Result<Graph, ImportError>;

/// An architecture as its family's table has it.
#[derive(Debug)]
struct Variant {
    /// The name that users give.
    name: &'static str,
    about: &'static str,
    build: Build,
    /// Width multiplier.
    width: f64,
    /// Depth multiplier, or the number of layers.
    depth: f64,
    /// Rows and columns of the usual input.
    side: usize,
    /// What users may change.
    knobs: &'static [Knob],
    pictures: Pictures,
    /// The naming schemes that are known, each with a tensor that tells it.
    namings: &'static [(Naming, &'static str)],
}

/// All architectures, family by family.
fn variants() -> impl Iterator<Item = &'static Variant> {
    let families: [&'static [Variant]; 6] = [
        &cnn::VARIANTS,
        &resnet::VARIANTS,
        &mobilenet_v1::VARIANTS,
        &mobilenet_v2::VARIANTS,
        &efficientnet::VARIANTS,
        &convnext::VARIANTS,
    ];
    families.into_iter().flatten()
}

/// Whose names the tensors of a state dict have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// torchvision's.
    Torchvision,
    /// timm's.
    Timm,
    /// Those of efficientnet_pytorch and its kin.
    EfficientNetPytorch,
    /// Those of ConvNeXt's authors.
    ConvNeXt,
    /// torchvision's, but `shortcut` and `linear`.
    Shortcut,
    /// The family's own; see its module.
    Plain,
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Naming::Torchvision => "torchvision",
            Naming::Timm => "timm",
            Naming::EfficientNetPytorch => "efficientnet_pytorch",
            Naming::ConvNeXt => "convnext",
            Naming::Shortcut => "shortcut",
            Naming::Plain => "plain",
        })
    }
}

/// How the pictures that a network was trained on were prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pictures {
    ImageNet,
    ImageNetBicubic,
    EfficientNetLite,
    Cifar,
}

/// A network architecture with its options.
#[derive(Debug, Clone, Copy)]
pub struct Arch {
    variant: &'static Variant,
    options: Options,
}

impl PartialEq for Arch {
    fn eq(&self, other: &Self) -> bool {
        self.variant.name == other.variant.name && self.options == other.options
    }
}

/// What a builder needs to know beside the weights.
struct Spec {
    /// The architecture's name.
    name: &'static str,
    /// Rows, columns and channels of the input.
    input: Shape,
    /// Width multiplier.
    width: f64,
    /// Depth multiplier, or the number of layers.
    depth: f64,
    /// Where the network comes from, if the user says so.
    origin: Option<Origin>,
    naming: Naming,
    /// Number of classes, if not the one in the file.
    classes: Option<usize>,
}

impl Arch {
    /// Reads `NAME[:option=value,…]`; a first value without a name is the width.
    ///
    /// # Errors
    /// An unknown name, or an option that the architecture does not have or cannot have so.
    ///
    /// # Example
    /// ```
    /// use ocelli_convert::arch::Arch;
    /// assert_eq!(Arch::parse("mobilenet_v2:width=0.35")?, Arch::parse("mobilenet_v2:0.35")?);
    /// let arch = Arch::parse("efficientnet_b0:depth=0.5,resolution=96")?;
    /// assert_eq!(arch.default_input(), (96, 96));
    /// # Ok::<(), ocelli_convert::ImportError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ImportError> {
        let (name, options) = match text.split_once(':') {
            Some((name, options)) => (name, Some(options)),
            None => (text, None),
        };
        let Some(variant) = variants().find(|variant| variant.name == name) else {
            let supported: Vec<&str> = Self::names().collect();
            return Err(ImportError::UnknownArch {
                name: name.to_string(),
                supported: supported.join(", "),
            });
        };
        Ok(Self {
            variant,
            options: Options::parse(variant, options)?,
        })
    }

    /// The names that [`Arch::parse`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        variants().map(|variant| variant.name)
    }

    /// The name, without options.
    pub fn name(&self) -> &'static str {
        self.variant.name
    }

    /// What the network is made of, in a few words.
    pub fn about(&self) -> &'static str {
        self.variant.about
    }

    /// The options that there are, each with its values and its default.
    pub fn options(&self) -> String {
        options::known(self.variant)
    }

    /// Height and width of the input, where nothing else is said.
    pub fn default_input(&self) -> (usize, usize) {
        (self.options.resolution, self.options.resolution)
    }

    /// The number of classes of the data set that the network is usually trained on.
    pub fn default_classes(&self) -> usize {
        match self.variant.pictures {
            Pictures::Cifar => 10,
            _ => 1000,
        }
    }

    /// The same network for another size of input, where nothing else is said.
    pub fn with_resolution(mut self, side: usize) -> Self {
        self.options.resolution = side;
        self
    }

    /// The network in other depths and widths: for each depth, the narrowest first.
    pub fn scaled(&self) -> Vec<Vec<Self>> {
        let depths = options::depths(self.variant).into_iter();
        let widths = |depth: f64| {
            let widths = options::widths(self.variant).into_iter();
            let each = widths.map(|width| Self {
                options: Options {
                    width,
                    depth,
                    ..self.options
                },
                ..*self
            });
            each.collect()
        };
        depths.map(widths).collect()
    }

    /// How pictures become the network's input, as those were that it is usually trained on.
    pub fn preprocess(&self, h: u32, w: u32) -> Preprocess {
        let imagenet = Preprocess::imagenet(h, w);
        match self.variant.pictures {
            Pictures::ImageNet => imagenet,
            Pictures::ImageNetBicubic => Preprocess {
                filter: Filter::Bicubic,
                ..imagenet
            },
            // (x - 127) / 128.
            Pictures::EfficientNetLite => Preprocess {
                filter: Filter::Bicubic,
                mean: [127.0 / 255.0; 3],
                std: [128.0 / 255.0; 3],
                ..imagenet
            },
            // The whole picture.
            Pictures::Cifar => Preprocess {
                resize_shorter: h.max(w),
                mean: [0.4914, 0.4822, 0.4465],
                std: [0.2023, 0.1994, 0.2010],
                ..imagenet
            },
        }
    }

    /// Whose names the weights may have, the first being those of [`Arch::random_weights`].
    pub fn namings(&self) -> impl Iterator<Item = Naming> {
        self.variant.namings.iter().map(|(naming, _)| *naming)
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
        let mut params = Params::of(self.variant.name, weights);
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
        let mut params = Params::random(self.variant.name, seed, None);
        self.construct(&mut params, input_h, input_w, Some(classes))
    }

    /// The weights of [`Arch::random`] as a state dict.
    ///
    /// # Errors
    /// As [`Arch::random`].
    pub fn random_weights(&self, seed: u64, classes: usize) -> Result<StateDict, ImportError> {
        self.random_weights_named(None, seed, classes)
    }

    /// Random weights with the names that somebody gives them. Other names, other weights.
    ///
    /// # Errors
    /// As [`Arch::random`], and names that the architecture is not known by.
    pub fn random_weights_named(
        &self,
        naming: impl Into<Option<Naming>>,
        seed: u64,
        classes: usize,
    ) -> Result<StateDict, ImportError> {
        let mut params = Params::random(self.variant.name, seed, naming.into());
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
            name: self.variant.name,
            input: Shape::new(input_h, input_w, 3),
            width: self.options.width,
            depth: self.options.depth,
            origin: self.options.origin,
            naming: params.naming(self.variant.namings)?,
            classes,
        };
        (self.variant.build)(params, &spec)
    }
}

impl fmt::Display for Arch {
    /// The name and what is not as usual: what [`Arch::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variant.name)?;
        self.options.write(self.variant, f)
    }
}
