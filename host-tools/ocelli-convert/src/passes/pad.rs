//! Zeros around an input become a convolution's own padding.

use super::without_orphans;
use crate::graph::{Graph, Op, Padding};

/// Joins a pad to the convolution behind it, if nothing else reads what is between the two.
pub(super) fn fuse(mut graph: Graph) -> Graph {
    // The last first: of two pads in a row, the second is joined before the first is looked at.
    for at in (0..graph.nodes.len()).rev() {
        let (input, output) = (graph.nodes[at].inputs[0], graph.nodes[at].output);
        let Op::Pad { padding } = graph.nodes[at].op else {
            continue;
        };
        if graph.readers(output) != 1 {
            continue;
        }
        let mut readers = graph.nodes.iter_mut();
        let reader = readers.find(|node| node.inputs.contains(&output));
        let Some(reader) = reader else {
            continue;
        };
        if let Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } = &mut reader.op {
            window.padding = sum(window.padding, padding);
            reader.inputs[0] = input;
            graph.nodes.remove(at);
        }
    }
    without_orphans(graph)
}

fn sum(a: Padding, b: Padding) -> Padding {
    Padding {
        top: a.top + b.top,
        bottom: a.bottom + b.bottom,
        left: a.left + b.left,
        right: a.right + b.right,
    }
}
