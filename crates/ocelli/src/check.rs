//! What a session proves of each op before it runs.

use ocelli_image::{Image, OpKind};
use ocelli_kernels::GlobalAveragePool;

use crate::error::LoadError;
use crate::families::{KernelTable, shape};
use crate::rings::rows_at_once;
use crate::session::context;

/// Everything that `run` relies on for one op.
pub(crate) fn check_op(
    image: &Image<'_>,
    at: usize,
    kernels: &KernelTable,
) -> Result<(), LoadError> {
    let Some(record) = image.op(at) else {
        return Ok(());
    };
    let op = context(image, &record, at);
    let kind = op.body.kind();
    let family = kernels.get(kind).ok_or(LoadError::Kernel { at, kind })?;
    (family.check)(&op).map_err(|error| LoadError::Op { at, error })?;
    let rows = record.rows_per_step.min(op.output.h);
    for input in &op.inputs {
        let needed = rows_at_once(&op.body, input, rows);
        if input.rows_held < needed {
            return Err(LoadError::Ring {
                at,
                needed,
                got: input.rows_held,
            });
        }
    }
    let (_, got) = record.scratch;
    let needed = match kind {
        OpKind::GlobalAveragePool => GlobalAveragePool::sums_bytes(shape(&op.inputs[0])),
        _ => 0,
    };
    if got < needed {
        return Err(LoadError::Scratch { at, needed, got });
    }
    Ok(())
}
