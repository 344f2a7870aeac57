//! The parts of a TensorFlow Lite file that matter here, in the order of its tables.
//!
//! # Source
//! `schema.fbs` of TensorFlow Lite, version 3. Fields are numbered in their order there.

use super::flatbuffer::{Damage, Table};

/// Kinds of tensors' elements, as the file numbers them.
pub mod elem {
    pub const FLOAT32: u8 = 0;
    pub const FLOAT16: u8 = 1;
    pub const INT32: u8 = 2;
    pub const UINT8: u8 = 3;
    pub const INT16: u8 = 7;
    pub const INT8: u8 = 9;

    /// The schema's name.
    pub fn name(elem: u8) -> &'static str {
        const NAMES: [&str; 19] = [
            "float32",
            "float16",
            "int32",
            "uint8",
            "int64",
            "string",
            "bool",
            "int16",
            "complex64",
            "int8",
            "float64",
            "complex128",
            "uint64",
            "resource",
            "variant",
            "uint32",
            "uint16",
            "int4",
            "bfloat16",
        ];
        NAMES.get(usize::from(elem)).copied().unwrap_or("unknown")
    }
}

/// Kinds of operators, as the file numbers them.
pub mod builtin {
    pub const ADD: i32 = 0;
    pub const AVERAGE_POOL_2D: i32 = 1;
    pub const CONCATENATION: i32 = 2;
    pub const CONV_2D: i32 = 3;
    pub const DEPTHWISE_CONV_2D: i32 = 4;
    pub const DEQUANTIZE: i32 = 6;
    pub const FULLY_CONNECTED: i32 = 9;
    pub const LOGISTIC: i32 = 14;
    pub const MAX_POOL_2D: i32 = 17;
    pub const MUL: i32 = 18;
    pub const RELU: i32 = 19;
    pub const RELU_N1_TO_1: i32 = 20;
    pub const RELU6: i32 = 21;
    pub const RESHAPE: i32 = 22;
    pub const SOFTMAX: i32 = 25;
    pub const TANH: i32 = 28;
    pub const CUSTOM: i32 = 32;
    pub const PAD: i32 = 34;
    pub const MEAN: i32 = 40;
    pub const SUB: i32 = 41;
    pub const DIV: i32 = 42;
    pub const SQUEEZE: i32 = 43;
    pub const STRIDED_SLICE: i32 = 45;
    pub const MAXIMUM: i32 = 55;
    pub const MINIMUM: i32 = 57;
    pub const PADV2: i32 = 60;
    pub const EXPAND_DIMS: i32 = 70;
    pub const SHAPE: i32 = 77;
    pub const PACK: i32 = 83;
    pub const LEAKY_RELU: i32 = 98;
    pub const MIRROR_PAD: i32 = 100;
    pub const ELU: i32 = 111;
    pub const QUANTIZE: i32 = 114;
    pub const HARD_SWISH: i32 = 117;
    pub const GELU: i32 = 150;

    /// Names of the kinds that users meet most; others are shown by number.
    const NAMES: [(i32, &str); 57] = [
        (ADD, "ADD"),
        (AVERAGE_POOL_2D, "AVERAGE_POOL_2D"),
        (CONCATENATION, "CONCATENATION"),
        (CONV_2D, "CONV_2D"),
        (DEPTHWISE_CONV_2D, "DEPTHWISE_CONV_2D"),
        (5, "DEPTH_TO_SPACE"),
        (DEQUANTIZE, "DEQUANTIZE"),
        (FULLY_CONNECTED, "FULLY_CONNECTED"),
        (11, "L2_NORMALIZATION"),
        (LOGISTIC, "LOGISTIC"),
        (16, "LSTM"),
        (MAX_POOL_2D, "MAX_POOL_2D"),
        (MUL, "MUL"),
        (RELU, "RELU"),
        (RELU_N1_TO_1, "RELU_N1_TO_1"),
        (RELU6, "RELU6"),
        (RESHAPE, "RESHAPE"),
        (23, "RESIZE_BILINEAR"),
        (24, "RNN"),
        (SOFTMAX, "SOFTMAX"),
        (26, "SPACE_TO_DEPTH"),
        (27, "SVDF"),
        (TANH, "TANH"),
        (CUSTOM, "CUSTOM"),
        (PAD, "PAD"),
        (35, "UNIDIRECTIONAL_SEQUENCE_RNN"),
        (36, "GATHER"),
        (37, "BATCH_TO_SPACE_ND"),
        (38, "SPACE_TO_BATCH_ND"),
        (39, "TRANSPOSE"),
        (MEAN, "MEAN"),
        (SUB, "SUB"),
        (DIV, "DIV"),
        (SQUEEZE, "SQUEEZE"),
        (44, "UNIDIRECTIONAL_SEQUENCE_LSTM"),
        (STRIDED_SLICE, "STRIDED_SLICE"),
        (49, "SPLIT"),
        (53, "CAST"),
        (54, "PRELU"),
        (MAXIMUM, "MAXIMUM"),
        (56, "ARG_MAX"),
        (MINIMUM, "MINIMUM"),
        (PADV2, "PADV2"),
        (65, "SLICE"),
        (67, "TRANSPOSE_CONV"),
        (EXPAND_DIMS, "EXPAND_DIMS"),
        (SHAPE, "SHAPE"),
        (82, "REDUCE_MAX"),
        (PACK, "PACK"),
        (97, "RESIZE_NEAREST_NEIGHBOR"),
        (LEAKY_RELU, "LEAKY_RELU"),
        (MIRROR_PAD, "MIRROR_PAD"),
        (ELU, "ELU"),
        (QUANTIZE, "QUANTIZE"),
        (HARD_SWISH, "HARD_SWISH"),
        (126, "BATCH_MATMUL"),
        (GELU, "GELU"),
    ];

    /// The schema's name, or the number.
    pub fn name(builtin: i32) -> String {
        let known = NAMES.iter().find(|(number, _)| *number == builtin);
        known.map_or(format!("builtin operator {builtin}"), |(_, name)| {
            name.to_string()
        })
    }
}

/// Real = scale * (code - zero_point), per tensor or along one dimension.
#[derive(Default)]
pub struct Quantization {
    pub scale: Vec<f32>,
    pub zero_point: Vec<i64>,
    pub dimension: i32,
}

/// A tensor: an activation, or a constant if it has data.
pub struct Tensor<'f> {
    pub name: String,
    pub elem: u8,
    pub shape: Vec<i32>,
    /// The shape with -1 where it is not known; empty if all is known.
    pub signature: Vec<i32>,
    pub quantization: Quantization,
    pub data: &'f [u8],
    /// What it has that is not supported.
    pub exotic: Option<&'static str>,
}

/// An operator of the graph.
pub struct Operator<'f> {
    pub builtin: i32,
    /// The name of its kind.
    pub kind: String,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: Option<Table<'f>>,
}

/// Everything of a file with one subgraph.
pub struct File<'f> {
    pub subgraphs: usize,
    pub tensors: Vec<Tensor<'f>>,
    pub operators: Vec<Operator<'f>>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

impl<'f> File<'f> {
    /// Reads the tables; what they say has yet to be checked.
    pub fn read(bytes: &'f [u8]) -> Result<Self, Damage> {
        let model = Table::root(bytes)?;
        let codes = model.tables(1)?;
        let subgraphs = model.tables(2)?;
        let buffers = model.tables(4)?;
        let what = "subgraph";
        let graph = subgraphs.first().ok_or(Damage { what, at: 0 })?;
        let kinds = codes.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        let tensors = graph.tables(0)?;
        let operators = graph.tables(3)?;
        Ok(File {
            subgraphs: subgraphs.len(),
            tensors: tensors
                .iter()
                .map(|table| tensor(table, &buffers))
                .collect::<Result<_, _>>()?,
            operators: operators
                .iter()
                .map(|table| operator(table, &kinds))
                .collect::<Result<_, _>>()?,
            inputs: graph.numbers(1)?,
            outputs: graph.numbers(2)?,
        })
    }
}

/// Number and name of a kind of operator. Old files have only the first field, a byte; new ones the larger of both.
fn kind(code: &Table<'_>) -> Result<(i32, String), Damage> {
    let old: i8 = code.number(0, 0)?;
    let builtin = code.number(3, 0i32)?.max(old.into());
    let name = match code.text(1)? {
        custom if builtin == builtin::CUSTOM => format!("CUSTOM `{custom}`"),
        _ => builtin::name(builtin),
    };
    Ok((builtin, name))
}

fn operator<'f>(table: &Table<'f>, kinds: &[(i32, String)]) -> Result<Operator<'f>, Damage> {
    let code = table.number(0, 0u32)? as usize;
    let what = "operator code";
    let (builtin, kind) = kinds.get(code).cloned().ok_or(Damage { what, at: code })?;
    Ok(Operator {
        builtin,
        kind,
        inputs: table.numbers(1)?,
        outputs: table.numbers(2)?,
        options: table.table(4)?,
    })
}

fn tensor<'f>(table: &Table<'f>, buffers: &[Table<'f>]) -> Result<Tensor<'f>, Damage> {
    let at = table.number(2, 0u32)? as usize;
    let what = "buffer";
    // Buffer 0 is the empty one, and may be missing in files that use no other for it.
    let buffer = match buffers.get(at) {
        Some(buffer) => Some(buffer),
        None if at == 0 => None,
        None => return Err(Damage { what, at }),
    };
    let outside = table.number(10, 0u32)? != 0
        || match buffer {
            Some(buffer) => buffer.number(1, 0u64)? > 1,
            None => false,
        };
    let quantization = table.table(4)?;
    let custom = match &quantization {
        Some(quantization) => quantization.number(4, 0u8)? != 0,
        None => false,
    };
    let exotic = [
        (table.has(6), "is sparse; export it dense"),
        (
            table.number(5, 0u8)? != 0,
            "is a variable; export a network without state",
        ),
        (
            outside,
            "keeps its data outside the model; export it in one file below 2 GiB",
        ),
        (
            custom,
            "has a quantization of its own kind; export it with TensorFlow Lite's",
        ),
    ];
    Ok(Tensor {
        // Names are lines of the image.
        name: table.text(3)?.replace(['\n', '\r'], " "),
        elem: table.number(1, 0u8)?,
        shape: table.numbers(0)?,
        signature: table.numbers(7)?,
        quantization: match &quantization {
            Some(quantization) => Quantization {
                scale: quantization.numbers(2)?,
                zero_point: quantization.numbers(3)?,
                dimension: quantization.number(6, 0)?,
            },
            None => Quantization::default(),
        },
        data: buffer.map_or(Ok(&[][..]), |buffer| buffer.bytes(0))?,
        exotic: exotic.iter().find(|(is, _)| *is).map(|(_, what)| *what),
    })
}
