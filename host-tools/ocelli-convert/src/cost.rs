//! What an architecture costs a device, before there are weights.
//!
//! A network with made-up weights and ranges has the sizes of a trained one: its image and its plan are real.

use ocelli_image::Model;

use crate::arch::Arch;
use crate::calibrate::{Calibration, RangeMethod};
use crate::error::ConvertError;
use crate::graph::Graph;
use crate::grid::{Grid, GridOptions};
use crate::passes::canonicalize;
use crate::plan::{PlanKind, plan};
use crate::quantize::quantize;
use crate::target::{Target, pack};

/// An architecture at one input size, with made-up weights.
#[derive(Debug, Clone)]
pub struct Sketch {
    /// The network, canonical.
    pub graph: Graph,
    /// Numbers that training finds: weights, biases, and scale and shift of the norms.
    pub parameters: usize,
}

/// A sketch in int8, planned.
#[derive(Debug, Clone)]
pub struct PlannedSketch {
    /// The image as an editable model.
    pub model: Model,
    /// Bytes of the image: what it takes of flash.
    pub image_bytes: usize,
    /// Bytes of memory that a session needs.
    pub arena_bytes: usize,
}

impl Sketch {
    /// Builds the network.
    ///
    /// # Errors
    /// An input or a number of classes that the network cannot have.
    pub fn new(arch: &Arch, (h, w): (usize, usize), classes: usize) -> Result<Self, ConvertError> {
        let weights = arch.random_weights(0, classes)?;
        let trained = weights
            .iter()
            .filter(|(name, _)| !name.contains(".running_"))
            .map(|(_, tensor)| tensor.data.len());
        let parameters = trained.sum();
        let graph = canonicalize(arch.build(&weights, h, w, None)?)?;
        Ok(Sketch { graph, parameters })
    }

    /// Multiplications by weights of one run.
    pub fn macs(&self) -> u64 {
        self.graph.macs()
    }

    /// Rounds the network to int8 and plans its memory.
    ///
    /// # Errors
    /// [`ConvertError`] if the network has no int8 form or cannot be planned.
    pub fn plan(&self, kind: PlanKind) -> Result<PlannedSketch, ConvertError> {
        let calibration = Calibration::assumed(&self.graph);
        let options = GridOptions {
            range: RangeMethod::MinMax,
            per_channel: true,
        };
        let grid = Grid::choose(&self.graph, &calibration, (-1.0, 1.0), options);
        let mut model = quantize(&self.graph, &grid)?;
        pack(&mut model, Target::default().packing());
        let model = plan(model, kind)?;
        let image = model.encode()?;
        let parsed = image
            .parse()
            .map_err(|error| ConvertError::Load(error.to_string()))?;
        Ok(PlannedSketch {
            image_bytes: image.bytes().len(),
            arena_bytes: ocelli::arena_bytes(&parsed),
            model,
        })
    }
}
