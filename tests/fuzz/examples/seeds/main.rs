//! Writes the seeds in `corpus/` anew: `cargo run --example seeds`. Those in `corpus/pytorch` were findings.

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
use onnx::{Constant, Is, Node};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

mod onnx;

fn main() -> Result<(), Box<dyn Error>> {
    images()?;
    safetensors()?;
    onnx()?;
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

/// Name, sides of the input, constants and nodes.
type OnnxFile = (
    &'static str,
    &'static [i64],
    &'static [Constant],
    &'static [Node],
);

/// Operators one by one, and what exporters leave behind.
fn onnx() -> Result<(), Box<dyn Error>> {
    use Is::{Float, Int, Ints, Text};
    const MAP: &[i64] = &[1, 3, 6, 6];
    const W: Constant = ("w", &[4, 3, 3, 3], &[]);
    const B: Constant = ("b", &[4], &[]);
    let files: &[OnnxFile] = &[
        (
            "conv",
            MAP,
            &[W, B],
            &[(
                "Conv",
                "x w b",
                "y",
                &[("strides", Ints(&[2, 2])), ("pads", Ints(&[1, 1, 0, 0]))],
            )],
        ),
        (
            "depthwise",
            MAP,
            &[("w", &[6, 1, 3, 3], &[])],
            &[(
                "Conv",
                "x w",
                "y",
                &[("group", Int(3)), ("auto_pad", Text("SAME_UPPER"))],
            )],
        ),
        (
            "dilated",
            MAP,
            &[W],
            &[(
                "Conv",
                "x w",
                "y",
                &[
                    ("dilations", Ints(&[2, 2])),
                    ("kernel_shape", Ints(&[3, 3])),
                ],
            )],
        ),
        (
            "batch_norm",
            MAP,
            &[("s", &[3], &[]), ("v", &[3], &[])],
            &[
                ("Mul", "v v", "p", &[]),
                (
                    "BatchNormalization",
                    "x s s s p",
                    "y",
                    &[("epsilon", Float(0.01))],
                ),
            ],
        ),
        (
            "average_pool",
            MAP,
            &[],
            &[(
                "AveragePool",
                "x",
                "y",
                &[
                    ("kernel_shape", Ints(&[2, 2])),
                    ("ceil_mode", Int(1)),
                    ("count_include_pad", Int(1)),
                ],
            )],
        ),
        (
            "max_pool",
            MAP,
            &[],
            &[(
                "MaxPool",
                "x",
                "y",
                &[
                    ("kernel_shape", Ints(&[3, 3])),
                    ("strides", Ints(&[2, 2])),
                    ("pads", Ints(&[1, 1, 1, 1])),
                ],
            )],
        ),
        (
            "classifier",
            MAP,
            &[("w", &[5, 3], &[]), ("b", &[5], &[])],
            &[
                ("GlobalAveragePool", "x", "p", &[]),
                ("Flatten", "p", "f", &[]),
                (
                    "Gemm",
                    "f w b",
                    "l",
                    &[("transB", Int(1)), ("alpha", Float(0.5))],
                ),
                ("Softmax", "l", "y", &[("axis", Int(-1))]),
            ],
        ),
        (
            "mean",
            MAP,
            &[("a", &[2], &[2, 3]), ("w", &[3, 5], &[])],
            &[
                ("ReduceMean", "x a", "m", &[("keepdims", Int(0))]),
                ("MatMul", "m w", "y", &[]),
            ],
        ),
        (
            "hard_swish",
            MAP,
            &[("k", &[], &[]), ("w", &[3, 3, 1, 1], &[])],
            &[
                ("Conv", "x w", "c", &[]),
                ("HardSigmoid", "c", "h", &[("alpha", Float(0.2))]),
                ("Mul", "c h", "y", &[]),
            ],
        ),
        (
            "silu",
            MAP,
            &[],
            &[("Sigmoid", "x", "s", &[]), ("Mul", "x s", "y", &[])],
        ),
        (
            "gelu",
            MAP,
            &[("k", &[], &[])],
            &[
                ("Div", "x k", "d", &[]),
                ("Erf", "d", "e", &[]),
                ("Sub", "e k", "s", &[]),
                ("Mul", "x s", "y", &[]),
            ],
        ),
        (
            "excite",
            MAP,
            &[("w", &[3, 3, 1, 1], &[])],
            &[
                ("GlobalAveragePool", "x", "p", &[]),
                ("Conv", "p w", "c", &[]),
                ("Sigmoid", "c", "s", &[]),
                ("Mul", "x s", "y", &[]),
            ],
        ),
        (
            "layer_norm",
            &[1, 6, 6, 3],
            &[("s", &[3], &[])],
            &[("LayerNormalization", "x s s", "y", &[("axis", Int(-1))])],
        ),
        (
            "transposed",
            MAP,
            &[("s", &[3], &[])],
            &[
                ("Transpose", "x", "t", &[("perm", Ints(&[0, 2, 3, 1]))]),
                ("Add", "t s", "a", &[]),
                ("Transpose", "a", "y", &[("perm", Ints(&[0, 3, 1, 2]))]),
            ],
        ),
        (
            "reshaped",
            MAP,
            &[("z", &[1], &[0]), ("m", &[1], &[-1])],
            &[
                ("Shape", "x", "s", &[]),
                ("Gather", "s z", "g", &[]),
                ("Concat", "g m", "c", &[("axis", Int(0))]),
                ("Reshape", "x c", "y", &[]),
            ],
        ),
        (
            "sliced",
            MAP,
            &[("f", &[1], &[1]), ("t", &[1], &[3]), ("a", &[1], &[1])],
            &[("Slice", "x f t a", "s", &[]), ("Relu", "s", "y", &[])],
        ),
        (
            "padded",
            MAP,
            &[("p", &[8], &[0, 0, 1, 1, 0, 0, 1, 1]), W],
            &[
                ("Pad", "x p", "q", &[("mode", Text("constant"))]),
                ("Conv", "q w", "y", &[]),
            ],
        ),
        (
            "concat",
            MAP,
            &[],
            &[
                ("Relu", "x", "r", &[]),
                ("Concat", "x r", "y", &[("axis", Int(1))]),
            ],
        ),
        (
            "clip",
            MAP,
            &[("k", &[], &[])],
            &[
                ("Clip", "x k", "c", &[]),
                ("PRelu", "c k", "p", &[]),
                ("LeakyRelu", "p", "y", &[("alpha", Float(0.1))]),
            ],
        ),
        (
            "residual",
            MAP,
            &[("w", &[3, 3, 1, 1], &[])],
            &[
                ("Conv", "x w", "c", &[]),
                ("Add", "c x", "a", &[]),
                ("Relu", "a", "y", &[]),
            ],
        ),
        (
            "range",
            MAP,
            &[("z", &[], &[0]), ("n", &[], &[3]), ("o", &[], &[1])],
            &[
                ("Range", "z n o", "r", &[]),
                ("Cast", "r", "c", &[("to", Int(1))]),
                ("Unsqueeze", "c o", "u", &[]),
                ("Unsqueeze", "u o", "v", &[]),
                ("Add", "x v", "y", &[]),
            ],
        ),
        (
            "quantized",
            MAP,
            &[("s", &[], &[]), W],
            &[
                ("QuantizeLinear", "x s", "q", &[]),
                ("DequantizeLinear", "q s", "d", &[]),
                ("Conv", "d w", "y", &[]),
            ],
        ),
    ];
    for (name, x, constants, nodes) in files {
        for opset in [11, 17] {
            let file = onnx::file(opset, x, constants, nodes);
            write("onnx", &format!("{name}-{opset}.onnx"), &file)?;
        }
    }
    Ok(())
}
