//! Which operators there are, and which attributes of them are understood.

/// The attributes of an operator that is supported, at least on constants.
///
/// An attribute that is not listed changes what a network computes in a way that is not known here.
pub fn attributes(op: &str) -> Option<&'static [&'static str]> {
    Some(match op {
        "Abs" | "Ceil" | "Div" | "Equal" | "Erf" | "Exp" | "Expand" | "Floor"
        | "GlobalAveragePool" | "GlobalMaxPool" | "Greater" | "GreaterOrEqual" | "HardSwish"
        | "Identity" | "Less" | "LessOrEqual" | "MatMul" | "Max" | "Mean" | "Min" | "Mul"
        | "Neg" | "Not" | "PRelu" | "Pow" | "Range" | "Reciprocal" | "Relu" | "Sigmoid"
        | "Size" | "Sqrt" | "Sub" | "Sum" | "Tanh" | "Where" | "Add" => &[],
        "AveragePool" => &[
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "strides",
        ],
        "BatchNormalization" => &["epsilon", "momentum", "training_mode", "spatial"],
        "Cast" => &["to", "saturate"],
        "CastLike" => &["saturate"],
        "Clip" => &["min", "max"],
        "Concat" => &["axis"],
        "Constant" => &[
            "value",
            "value_float",
            "value_floats",
            "value_int",
            "value_ints",
        ],
        "ConstantOfShape" => &["value"],
        "Conv" => &[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
        ],
        "DequantizeLinear" | "QuantizeLinear" => &[
            "axis",
            "block_size",
            "output_dtype",
            "saturate",
            "precision",
        ],
        "Dropout" => &["ratio", "seed", "is_test"],
        "Elu" | "LeakyRelu" | "Swish" => &["alpha"],
        "Flatten" | "Gather" => &["axis"],
        "Gelu" => &["approximate"],
        "Gemm" => &["alpha", "beta", "transA", "transB"],
        "HardSigmoid" => &["alpha", "beta"],
        "LayerNormalization" => &["axis", "epsilon", "stash_type"],
        "MaxPool" => &[
            "auto_pad",
            "ceil_mode",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ],
        "Pad" => &["mode", "pads", "value"],
        "ReduceMean" | "ReduceMax" => &["axes", "keepdims", "noop_with_empty_axes"],
        "Reshape" => &["allowzero"],
        "Shape" => &["start", "end"],
        "Slice" => &["axes", "starts", "ends"],
        "Softmax" => &["axis"],
        "Squeeze" | "Unsqueeze" => &["axes"],
        "Transpose" => &["perm"],
        _ => return None,
    })
}

/// What can be imported, for an operator that cannot.
pub const SUPPORTED: &str = "supported are Conv, Gemm, MatMul with a constant, BatchNormalization, LayerNormalization, Relu, Clip, LeakyRelu, PRelu, Sigmoid, HardSigmoid, HardSwish, Swish, Tanh, Elu, Gelu, Softmax, Add, Sub, Mul, Div, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax, Pad, Concat, Flatten, Reshape, Squeeze, Unsqueeze, Transpose, Identity, Dropout, Cast, QuantizeLinear, DequantizeLinear, and whatever computes shapes from constants";
