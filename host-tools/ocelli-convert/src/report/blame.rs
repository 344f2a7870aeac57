//! Which ops the noise comes from.

use ocelli::{KernelTable, Observer, Session};
use ocelli_image::Image;
use rayon::prelude::*;

use crate::compare::{Arena, Noise};
use crate::convert::{Progress, Quantized};
use crate::error::ConvertError;
use crate::graph::Graph;
use crate::grid::Quantization;
use crate::interpreter::{Interpreter, last_readers, run_node};

/// Pictures on which it is measured: each costs as much as running half the network once for every op.
const PICTURES: usize = 2;

/// What each op adds to the noise, by op.
#[derive(Debug, Clone, PartialEq)]
pub struct Blame {
    /// At its own output: its codes against what float makes of the codes that it reads.
    pub own: Vec<Noise>,
    /// At the network's output: how far that noise alone changes what the float network says.
    pub at_output: Vec<Noise>,
}

impl Blame {
    /// Measures every op's part on some of the calibration pictures.
    ///
    /// # Errors
    /// [`ConvertError`] if the image is not that of the network.
    pub fn measure(
        quantized: &Quantized,
        image: &Image<'_>,
        progress: &dyn Progress,
    ) -> Result<Self, ConvertError> {
        let graph = &quantized.graph;
        let count = graph.nodes.len();
        let pictures = quantized.sample.iter().take(PICTURES);
        let mut blame = Blame {
            own: vec![Noise::default(); count],
            at_output: vec![Noise::default(); count],
        };
        progress.stage("tracing noise", count * pictures.len());
        let last_reader = last_readers(graph);
        for pixels in pictures {
            let values = Values::new(quantized, image, pixels)?;
            let each = (0..count).into_par_iter().map(|at| {
                let parts = values.parts(graph, &last_reader, at);
                progress.step();
                parts
            });
            // Collected first: sums of floats are taken in one order, whatever the threads do.
            let each: Vec<[Noise; 2]> = each.collect();
            for (at, [own, at_output]) in each.into_iter().enumerate() {
                blame.own[at] = blame.own[at].add(own);
                blame.at_output[at] = blame.at_output[at].add(at_output);
            }
        }
        Ok(blame)
    }

    /// The part of each op in all noise at the output, taken by itself; nothing where there is none.
    pub fn shares(&self) -> Vec<f64> {
        let all: f64 = self.at_output.iter().map(|noise| noise.noise).sum();
        let share = |noise: &Noise| if all > 0.0 { noise.noise / all } else { 0.0 };
        self.at_output.iter().map(share).collect()
    }
}

/// Every tensor of one picture, by tensor.
struct Values {
    float: Vec<Vec<f32>>,
    /// What the codes stand for; not a number where no op reads a row, so that it is not made.
    int8: Vec<Vec<f32>>,
}

impl Values {
    fn new(quantized: &Quantized, image: &Image<'_>, pixels: &[u8]) -> Result<Self, ConvertError> {
        let Quantized { graph, grid, .. } = quantized;
        let input = quantized.preprocess.normalize(pixels);
        let mut float = vec![vec![]; graph.tensors.len()];
        Interpreter::new(graph)?.run(&input, |id, values| float[id.0] = values.to_vec())?;
        let codes = grid.tensor(graph.input);
        let mut seen = Seen {
            image,
            codes: graph
                .nodes
                .iter()
                .map(|node| grid.tensor(node.output))
                .collect(),
            tensors: graph
                .nodes
                .iter()
                .map(|node| vec![f32::NAN; graph.shape(node.output).elems()])
                .collect(),
        };
        let kernels = KernelTable::all();
        let mut arena = Arena::new(image);
        let mut session = Session::new(image, arena.bytes(), &kernels)?;
        session.run_pixels(pixels, &mut seen)?;
        let mut int8 = vec![vec![]; graph.tensors.len()];
        int8[graph.input.0] = input
            .iter()
            .map(|&value| codes.value(codes.code(value)))
            .collect();
        for (node, values) in graph.nodes.iter().zip(seen.tensors) {
            int8[node.output.0] = values;
        }
        Ok(Values { float, int8 })
    }

    /// The noise of one op, at its output and at the network's.
    fn parts(&self, graph: &Graph, last_reader: &[Option<usize>], at: usize) -> [Noise; 2] {
        let node = &graph.nodes[at];
        let made = run_node(graph, node, |id| &self.int8[id.0]);
        let float = &self.float[node.output.0];
        let mut own = Noise::default();
        let mut disturbed = float.clone();
        let triples = disturbed
            .iter_mut()
            .zip(&self.int8[node.output.0])
            .zip(made);
        for ((value, &int8), made) in triples.filter(|((_, int8), _)| !int8.is_nan()) {
            let difference = int8 - made;
            own.signal += f64::from(*value).powi(2);
            own.noise += f64::from(difference).powi(2);
            *value += difference;
        }
        let mut changed: Vec<Option<Vec<f32>>> = vec![None; graph.tensors.len()];
        changed[node.output.0] = Some(disturbed);
        for (later, node) in graph.nodes.iter().enumerate().skip(at + 1) {
            if node.inputs.iter().all(|id| changed[id.0].is_none()) {
                continue;
            }
            let value = |tensor: usize| changed[tensor].as_ref().unwrap_or(&self.float[tensor]);
            let made = run_node(graph, node, |id| value(id.0));
            changed[node.output.0] = Some(made);
            for id in &node.inputs {
                if last_reader[id.0] == Some(later) {
                    changed[id.0] = None;
                }
            }
        }
        let float = &self.float[graph.output.0];
        let mut at_output = Noise::default();
        if let Some(changed) = &changed[graph.output.0] {
            for (&float, &changed) in float.iter().zip(changed) {
                at_output.signal += f64::from(float).powi(2);
                at_output.noise += f64::from(changed - float).powi(2);
            }
        }
        [own, at_output]
    }
}

/// Takes down what the codes of each op stand for.
struct Seen<'a> {
    image: &'a Image<'a>,
    codes: Vec<Quantization>,
    tensors: Vec<Vec<f32>>,
}

impl Observer for Seen<'_> {
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]) {
        let start = first_row * self.image.tensor(op + 1).row_elems();
        let codes = self.codes[op];
        for (value, &code) in self.tensors[op][start..].iter_mut().zip(rows) {
            *value = codes.value(code);
        }
    }
}
