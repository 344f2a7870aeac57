//! Activations become part of the op before them.

use super::{merge_into_producer, replace_ops};
use crate::graph::{Graph, Op, Window};

/// Joins an activation to the op before it, if that op has a clamp.
pub(super) fn fuse(graph: Graph) -> Graph {
    merge_into_producer(graph, |before, node| match node {
        Op::Clamp(next) => match before.clamp_mut() {
            Some(clamp) => {
                *clamp = clamp.then(*next);
                true
            }
            None => false,
        },
        _ => false,
    })
}

/// Makes any activation that is left a max pool of one pixel, which has a clamp and keeps codes exactly.
pub(super) fn to_max_pool(graph: Graph) -> Graph {
    replace_ops(graph, |op| match op {
        Op::Clamp(clamp) => Op::MaxPool {
            window: Window::POINT,
            clamp,
        },
        other => other,
    })
}
