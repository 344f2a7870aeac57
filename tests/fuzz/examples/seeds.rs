//! Writes the seeds in `corpus/` anew: `cargo run --example seeds`. Seeds of other origin there stay.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use ocelli_convert::arch::Arch;
use ocelli_convert::weights::StateDict;
use ocelli_fuzz::SMALL_CNN;
use ocelli_tests::network::Network;
use ocelli_tests::plan;
use ocelli_tests::random::Random;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

fn main() -> Result<(), Box<dyn Error>> {
    images()?;
    safetensors()?;
    archs()
}

fn write(target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&dir)?;
    Ok(fs::write(dir.join(name), bytes)?)
}

/// Random networks under random plans.
fn images() -> Result<(), Box<dyn Error>> {
    let mut written = 0;
    for seed in 0.. {
        let mut random = Random::new(seed);
        let mut model = Network::random(&mut random).model();
        plan::plan(&mut model, &mut random);
        let buffer = model.encode()?;
        if buffer.bytes().len() <= 3072 {
            write("image", &format!("network-{seed}.ocl"), buffer.bytes())?;
            written += 1;
        }
        if written == 16 {
            break;
        }
    }
    Ok(())
}

/// A tensor's name, type and shape.
type Named = (&'static str, Dtype, &'static [usize]);

/// Each float type, integers, wrappers and prefixes, scalars and empty tensors, and a whole small network.
fn safetensors() -> Result<(), Box<dyn Error>> {
    let zeros = [0; 64];
    let files: [(&str, &[Named]); 5] = [
        (
            "types",
            &[
                ("a", Dtype::F16, &[2]),
                ("b", Dtype::BF16, &[2]),
                ("c", Dtype::F32, &[2]),
                ("d", Dtype::F64, &[2]),
            ],
        ),
        ("integers", &[("a", Dtype::I8, &[2])]),
        (
            "wrapped",
            &[
                ("state_dict.module.a.weight", Dtype::F32, &[1, 2, 3]),
                ("epoch", Dtype::I64, &[]),
            ],
        ),
        (
            "counted",
            &[
                ("model.0.num_batches_tracked", Dtype::I64, &[]),
                ("model.0.weight", Dtype::F32, &[4, 1]),
            ],
        ),
        (
            "empty",
            &[("a", Dtype::F32, &[0, 3]), ("b", Dtype::F32, &[])],
        ),
    ];
    for (name, tensors) in files {
        let views = tensors.iter().map(|&(tensor, dtype, shape)| {
            let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            Ok((
                tensor,
                TensorView::new(dtype, shape.to_vec(), &zeros[..bytes])?,
            ))
        });
        let views = views.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        write(
            "safetensors",
            &format!("{name}.safetensors"),
            &serialize(views, None)?,
        )?;
    }
    let weights = Arch::parse(SMALL_CNN)?.random_weights(1, 3)?;
    write("safetensors", "network.safetensors", &whole(&weights)?)
}

fn whole(weights: &StateDict) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes: BTreeMap<&String, Vec<u8>> = weights
        .iter()
        .map(|(name, tensor)| {
            (
                name,
                tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            )
        })
        .collect();
    let views = weights.iter().map(|(name, tensor)| {
        Ok((
            name,
            TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[name])?,
        ))
    });
    Ok(serialize(
        views.collect::<Result<Vec<_>, Box<dyn Error>>>()?,
        None,
    )?)
}

/// Every name once: whole weights, 32 by 32 pixels, the file's classes.
fn archs() -> Result<(), Box<dyn Error>> {
    for (at, name) in Arch::names().enumerate() {
        let mut seed = name.as_bytes().to_vec();
        seed.extend([b'\n', at as u8, 32, 0, 32, 0, 0, 0]);
        write("arch", name, &seed)?;
    }
    for case in 0..8 {
        let text: &[u8] = b"\n";
        // Untouched, and with a first tensor of another shape and another new name.
        write(
            "arch",
            &format!("whole-{case}"),
            &[text, &[case, 32, 0, 24, 0, 3, 0]].concat(),
        )?;
        write(
            "arch",
            &format!("wounded-{case}"),
            &[text, &[case, 8, 0, 8, 0, 0, 0, 0, 2, 0, 9, 5, 1]].concat(),
        )?;
    }
    Ok(())
}
