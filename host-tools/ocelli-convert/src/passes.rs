//! From a graph as its source has it to the few ops that quantization and devices know.

use crate::error::PassError;
use crate::graph::{Graph, Node, Op, TensorId};

mod batch_norm;
mod clamp;
mod pad;

/// A rewrite that leaves what the graph computes as it is, up to float rounding.
type Pass = fn(Graph) -> Graph;

/// All passes in the order in which they run.
const PASSES: [(&str, Pass); 5] = [
    ("fuse pad", pad::fuse),
    ("fold batch norm", batch_norm::fold),
    ("batch norm to depthwise", batch_norm::to_depthwise),
    ("fuse clamp", clamp::fuse),
    ("clamp to max pool", clamp::to_max_pool),
];

/// Runs all passes: afterwards there is no [`Op::BatchNorm`] and no [`Op::Clamp`] left.
///
/// A node that swallowed others keeps its own name and makes the last one's tensor.
///
/// # Errors
/// If the graph is broken, before the first pass or after one of them.
pub fn canonicalize(graph: Graph) -> Result<Graph, PassError> {
    let check = |graph: &Graph, pass| graph.verify().map_err(|source| PassError { pass, source });
    check(&graph, "import")?;
    PASSES.iter().try_fold(graph, |graph, (name, pass)| {
        let graph = pass(graph);
        check(&graph, name)?;
        Ok(graph)
    })
}

/// Merges nodes into the node before them wherever `merge(before, node)` does so and says yes.
///
/// Asked only where nothing else reads what is between the two.
fn merge_into_producer(mut graph: Graph, merge: impl Fn(&mut Op, &Op) -> bool) -> Graph {
    let nodes = std::mem::take(&mut graph.nodes);
    // Counted before the first merge; a merge changes no other tensor's readers.
    let mut readers = vec![0usize; graph.tensors.len()];
    let read = nodes.iter().flat_map(|node| &node.inputs);
    for id in read.chain([&graph.output]).chain(&graph.embedding) {
        readers[id.0] += 1;
    }
    let mut kept: Vec<Node> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let between = match node.inputs.as_slice() {
            &[id] if readers[id.0] == 1 => Some(id),
            _ => None,
        };
        let before = between.and_then(|id| kept.iter_mut().find(|before| before.output == id));
        if let Some(before) = before
            && merge(&mut before.op, &node.op)
        {
            before.output = node.output;
        } else {
            kept.push(node);
        }
    }
    graph.nodes = kept;
    without_orphans(graph)
}

/// The graph without tensors that no node makes any more, ids renumbered.
pub(crate) fn without_orphans(mut graph: Graph) -> Graph {
    let mut made = vec![false; graph.tensors.len()];
    made[graph.input.0] = true;
    for node in &graph.nodes {
        made[node.output.0] = true;
    }
    let mut count = 0;
    let renumbered: Vec<TensorId> = made
        .iter()
        .map(|&made| {
            let id = TensorId(count);
            count += usize::from(made);
            id
        })
        .collect();
    let mut stays = made.iter();
    graph.tensors.retain(|_| stays.next() == Some(&true));
    let renumber = |id: &mut TensorId| *id = renumbered[id.0];
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(renumber);
        renumber(&mut node.output);
    }
    renumber(&mut graph.input);
    renumber(&mut graph.output);
    graph.embedding.iter_mut().for_each(renumber);
    graph
}

/// Replaces ops one by one.
fn replace_ops(mut graph: Graph, replace: impl Fn(Op) -> Op) -> Graph {
    for node in &mut graph.nodes {
        let op = std::mem::replace(&mut node.op, Op::GlobalAveragePool);
        node.op = replace(op);
    }
    graph
}
