"""Makes tflite_ops.json: small int8 TensorFlow Lite files, each with what TensorFlow Lite for Microcontrollers computes,
or with what an importer has to say that refuses it.

    pip install tflite-micro==0.dev20261023182759 numpy==2.4.6
    python tests/reference/tflite_ops.py

Everything random has a fixed seed.
"""

import json
import pathlib

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

random = np.random.default_rng(7)
Type, Op, Options = schema.TensorType, schema.BuiltinOperator, schema.BuiltinOptions


class Net:
    """A model put together tensor by tensor; the first tensor is the input."""

    def __init__(self):
        self.graph, self.model = schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs = [0]
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.given = None

    def tensor(self, shape, scale=None, zero=0, data=None, dtype=Type.INT8, dimension=0):
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), dtype
        tensor.name = b"t%d" % len(self.graph.tensors)
        if scale is not None:
            scales = [float(s) for s in np.atleast_1d(scale)]
            quantization = schema.QuantizationParametersT()
            quantization.scale, quantization.zeroPoint = scales, [int(zero)] * len(scales)
            quantization.quantizedDimension = dimension
            tensor.quantization = quantization
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(self, builtin, inputs, output, options=None, version=1, **fields):
        code, op = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes), inputs, [output]
        if options:
            op.builtinOptionsType = getattr(Options, options)
            op.builtinOptions = getattr(schema, options + "T")()
            for name, value in fields.items():
                assert hasattr(op.builtinOptions, name)
                setattr(op.builtinOptions, name, value)
        self.model.operatorCodes.append(code)
        self.graph.operators.append(op)
        self.graph.outputs = [output]

    def bytes(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def scale(low=0.01, high=0.1, count=None):
    return np.float32(random.uniform(low, high, count))


def zero():
    return int(random.choice([-128, 127, 0]) if random.integers(4) == 0 else random.integers(-90, 91))


def side(low=1, high=5):
    return int(random.integers(low, high + 1))


def out(extent, filter, stride, dilation, padding):
    span = (filter - 1) * dilation + 1
    return -(-extent // stride) if padding == schema.Padding.SAME else (extent - span) // stride + 1


def window(h, w, dilated):
    """Filter, stride, dilation, padding and the shape of the output."""
    filter, stride = [side(1, 4), side(1, 4)], [side(1, 3), side(1, 3)]
    dilation = [side(1, 3), side(1, 3)] if dilated and random.integers(2) else [1, 1]
    fits = all((f - 1) * d < e for e, f, d in zip((h, w), filter, dilation))
    padding = int(random.choice([schema.Padding.SAME, schema.Padding.VALID])) if fits else schema.Padding.SAME
    made = [out(e, f, s, d, padding) for e, f, s, d in zip((h, w), filter, stride, dilation)]
    return filter, stride, dilation, padding, made


def activation():
    return int(random.choice([0, 0, 1, 2, 3]))


def weighted(net, x, shape, in_scale, count, dimension, made, taps, per_channel):
    """Weights, biases and output of an op."""
    scales = scale(0.001, 0.02, count if per_channel else 1)
    k = net.tensor(shape, scales, 0, random.integers(-127, 128, shape).astype(np.int8), dimension=dimension)
    inputs = [x, k]
    if random.integers(8):
        bias = random.integers(-9000, 9000, count).astype(np.int32)
        # What old converters say of a list: a dimension that it does not have.
        inputs.append(net.tensor([count], in_scale * scales, 0, bias, Type.INT32, dimension))
    y = net.tensor(made, in_scale * np.mean(scales) * 60 * np.sqrt(taps), zero())
    return inputs, y


def convolution(depthwise=False, point=False):
    h, w, c = side(), side(), side()
    filter, stride, dilation, padding, (oh, ow) = window(h, w, True)
    if point:
        h, w = (1, 1) if random.integers(2) else (h, w)
        filter, stride, dilation, (oh, ow) = [1, 1], [1, 1], [1, 1], (h, w)
    multiplier = side(1, 3) if depthwise else 1
    count = c * multiplier if depthwise else side(2)
    net, in_scale = Net(), scale()
    x = net.tensor([1, h, w, c], in_scale, zero())
    shape = [1, *filter, count] if depthwise else [count, *filter, c]
    taps = filter[0] * filter[1] * (1 if depthwise else c)
    dimension = 3 if depthwise else 0
    inputs, y = weighted(net, x, shape, in_scale, count, dimension, [1, oh, ow, count], taps, random.integers(4))
    fields = dict(
        padding=padding,
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        fusedActivationFunction=activation(),
    )
    if depthwise:
        net.op(Op.DEPTHWISE_CONV_2D, inputs, y, "DepthwiseConv2DOptions", 3, depthMultiplier=multiplier, **fields)
    else:
        net.op(Op.CONV_2D, inputs, y, "Conv2DOptions", 3, **fields)
    return net


def dense():
    inputs, count = side(1, 30), side(2, 6)
    net, in_scale = Net(), scale()
    x = net.tensor([1, inputs], in_scale, zero())
    read, y = weighted(net, x, [count, inputs], in_scale, count, 0, [1, count], inputs, random.integers(2))
    net.op(Op.FULLY_CONNECTED, read, y, "FullyConnectedOptions", 4, fusedActivationFunction=activation())
    return net


def addition():
    net, shape = Net(), [1, side(), side(), side()]
    x = net.tensor(shape, scale(), zero())
    a = net.tensor(shape, scale(0.001), zero())
    # The other summand is the input after a mean of single pixels, with the same codes.
    b = net.tensor(shape, net.graph.tensors[x].quantization.scale[0], net.graph.tensors[x].quantization.zeroPoint[0])
    pool = dict(padding=1, strideH=1, strideW=1, filterHeight=1, filterWidth=1)
    net.op(Op.AVERAGE_POOL_2D, [x], b, "Pool2DOptions", 2, **pool)
    net.op(Op.ADD, [b, x], a, "AddOptions", 2, fusedActivationFunction=activation())
    return net


def pool(builtin):
    net, h, w, c = Net(), side(2, 7), side(2, 7), side()
    filter, stride, _, padding, made = window(h, w, False)
    s, z = scale(), zero()
    x, y = net.tensor([1, h, w, c], s, z), net.tensor([1, *made, c], s, z)
    fields = dict(padding=padding, strideH=stride[0], strideW=stride[1])
    fields |= dict(filterHeight=filter[0], filterWidth=filter[1], fusedActivationFunction=activation())
    net.op(builtin, [x], y, "Pool2DOptions", 2, **fields)
    return net


def mean():
    net, h, w, c, keep = Net(), side(1, 9), side(1, 9), side(), bool(random.integers(2))
    s, z = scale(), zero()
    x = net.tensor([1, h, w, c], s, z)
    axes = [np.array(axes, np.int32) for axes in ([1, 2], [2, 1], [-3, -2])][random.integers(3)]
    k = net.tensor([2], data=axes, dtype=Type.INT32)
    s, z = (s, z) if random.integers(2) else (scale(0.01, 0.05), zero())
    y = net.tensor([1, 1, 1, c] if keep else [1, c], s, z)
    net.op(Op.MEAN, [x, k], y, "ReducerOptions", 2, keepDims=keep)
    return net


def pad():
    net, h, w, c = Net(), side(), side(), side()
    top, bottom, left, right = (side(0, 3) for _ in range(4))
    s, z = scale(), zero()
    x = net.tensor([1, h, w, c], s, z)
    amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    k = net.tensor([4, 2], data=amounts, dtype=Type.INT32)
    y = net.tensor([1, h + top + bottom, w + left + right, c], s, z)
    net.op(Op.PAD, [x, k], y, "PadOptions", 2)
    return net


def relu(builtin):
    net, shape, s, z = Net(), [1, side(), side(), side()], scale(), zero()
    x, y = net.tensor(shape, s, z), net.tensor(shape, s, z)
    net.op(builtin, [x], y, version=2)
    return net


def softmax():
    net, shape = Net(), [1, side(2, 20)]
    x, y = net.tensor(shape, scale(0.01, 0.5), zero()), net.tensor(shape, 1 / 256, -128)
    net.op(Op.SOFTMAX, [x], y, "SoftmaxOptions", 2, beta=float(random.choice([0.5, 1.0, 2.0])))
    return net


def function(builtin, made=None, options=None, version=1, **fields):
    """Of every code; `made` is what the output has to have, another scale and zero point otherwise."""
    net = Net()
    net.given = np.arange(-128, 128)
    s = scale(0.005, 0.1)
    x = net.tensor([1, 1, 16, 16], s, zero())
    y = net.tensor([1, 1, 16, 16], *(made or (np.float32(s * random.uniform(0.4, 2.5)), zero())))
    net.op(builtin, [x], y, options, version, **fields)
    return net


def product(pixel=None):
    """The input with a mean of itself that keeps its shape, or with one pixel of it, which comes first or last."""
    net, (h, w, c) = Net(), (side(2), side(2), side())
    s, z = scale(), zero()
    x = net.tensor([1, h, w, c], s, z)
    fields = dict(padding=1, strideH=1, strideW=1, filterHeight=1, filterWidth=1)
    if pixel is not None:
        fields |= dict(filterHeight=h, filterWidth=w)
    other = net.tensor([1, h, w, c] if pixel is None else [1, 1, 1, c], s, z)
    net.op(Op.AVERAGE_POOL_2D, [x], other, "Pool2DOptions", 2, **fields)
    y = net.tensor([1, h, w, c], s * s * np.float32(random.uniform(20, 200)), zero())
    net.op(Op.MUL, [other, x] if pixel == "first" else [x, other], y, "MulOptions", 2, fusedActivationFunction=activation())
    return net


def with_constant(kind, count, first=False, zero_point=None):
    """Every code with a constant: one number, or one for each of 16 channels."""
    net, shape = Net(), [1, 1, 16, 16]
    net.given = np.arange(-128, 128)
    s, z = [scale(), scale()], [zero(), zero() if zero_point is None else zero_point]
    x = net.tensor(shape, s[0], z[0])
    low = -128 if count == 1 else -127
    data = random.integers(low, 128, [count] if random.integers(2) else [1, 1, 1, count]).astype(np.int8)
    k = net.tensor(data.shape, s[1], z[1], data)
    out = s[0] * s[1] * np.float32(random.uniform(20, 200)) if kind == "Mul" else scale(0.02, 0.2)
    y = net.tensor(shape, out, zero())
    fields = dict(fusedActivationFunction=activation())
    net.op(getattr(Op, kind.upper()), [k, x] if first else [x, k], y, kind + "Options", 2, **fields)
    return net


def concatenation(count, axis=3):
    net, (h, w), in_scale = Net(), (side(), side()), scale()
    s, z = scale(0.05, 0.3), zero()
    x = net.tensor([1, h, w, side()], in_scale, zero())
    parts = []
    for _ in range(count):
        c = side()
        fields = dict(padding=1, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
        shape = [c, 1, 1, net.graph.tensors[x].shape[3]]
        k = net.tensor(shape, scale(0.001, 0.02), 0, random.integers(-127, 128, shape).astype(np.int8))
        b = net.tensor([c], in_scale * net.graph.tensors[k].quantization.scale[0], 0, np.zeros(c, np.int32), Type.INT32)
        parts.append(net.tensor([1, h, w, c], s, z))
        net.op(Op.CONV_2D, [x, k, b], parts[-1], "Conv2DOptions", 3, **fields)
    total = sum(net.graph.tensors[part].shape[3] for part in parts)
    y = net.tensor([1, h, w, total], s, z)
    net.op(Op.CONCATENATION, parts, y, "ConcatenationOptions", 2, axis=axis)
    return net


def views():
    """The input seen in another shape, a convolution, the one side squeezed away, and a dense layer."""
    net, w, c = Net(), side(2), side()
    in_scale, s = scale(), scale()
    x = net.tensor([1, w * c], in_scale, 3)
    x = [x, net.tensor([1, 1, w, c], in_scale, 3)]
    shape = net.tensor([4], data=np.array([1, 1, w, c], np.int32), dtype=Type.INT32)
    net.op(Op.RESHAPE, [x[0], shape], x[1], "ReshapeOptions")
    read, y = weighted(net, x[1], [4, 1, 1, c], in_scale, 4, 0, [1, 1, w, 4], c, 1)
    fields = dict(padding=1, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    net.op(Op.CONV_2D, read, y, "Conv2DOptions", 3, **fields)
    made = net.graph.tensors[y].quantization
    squeezed = net.tensor([1, w, 4], made.scale[0], made.zeroPoint[0])
    net.op(Op.SQUEEZE, [y], squeezed, "SqueezeOptions", squeezeDims=[1])
    flat = net.tensor([1, 4 * w], made.scale[0], made.zeroPoint[0])
    shape = net.tensor([2], data=np.array([1, 4 * w], np.int32), dtype=Type.INT32)
    net.op(Op.RESHAPE, [squeezed, shape], flat, "ReshapeOptions")
    read, y = weighted(net, flat, [3, 4 * w], np.float32(made.scale[0]), 3, 0, [1, 3], 4 * w, 0)
    net.op(Op.FULLY_CONNECTED, read, y, "FullyConnectedOptions", 4)
    return net


def equal(name, net):
    interpreter = runtime.Interpreter.from_bytes(net.bytes())
    given = random.integers(-128, 128, net.graph.tensors[0].shape)
    given = given if random.integers(4) else random.choice([-128, 127], given.shape)
    given = given if net.given is None else net.given.reshape(given.shape)
    interpreter.set_input(given.astype(np.int8), 0)
    interpreter.invoke()
    made = interpreter.get_output(0)
    return dict(kind="equal", name=name, input=given.flatten().tolist(), output=made.flatten().tolist(), file=net.bytes().hex())


def changed(change, make=convolution):
    net = make()
    change(net)
    return net


def refused():
    """Nets that are wrong in one way, and what has to be said of each."""
    tensors = lambda net: net.graph.tensors
    weights = lambda net: tensors(net)[net.graph.operators[0].inputs[1]]

    def set_builtin(net, builtin, custom=None):
        code = net.model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.customCode = custom

    def types(net, dtype):
        tensors(net)[0].type = dtype

    def sparse(net):
        weights(net).sparsity = schema.SparsityParametersT()

    def signature(net, at):
        tensors(net)[0].shapeSignature = [-1 if k == at else s for k, s in enumerate(tensors(net)[0].shape)]

    def batch(net):
        tensors(net)[0].shape[0] = 2

    def two(net, what):
        setattr(net.graph, what, [*getattr(net.graph, what), 0])

    def option(net, name, value):
        setattr(net.graph.operators[0].builtinOptions, name, value)

    def broadcast(net):
        tensors(net)[0].shape = tensors(net)[0].shape[:3] + [9]

    def no_quantization(net):
        tensors(net)[0].quantization = None

    def output_scale(net, scale):
        tensors(net)[net.graph.outputs[0]].quantization.scale = [scale]

    return [
        ("a custom op", changed(lambda net: set_builtin(net, Op.CUSTOM, b"Detect")), ["operator 0 (CUSTOM `Detect`)", "supported are"]),
        ("an lstm", changed(lambda net: set_builtin(net, Op.LSTM)), ["operator 0 (LSTM)", "supported are"]),
        ("an op without a name here", changed(lambda net: set_builtin(net, 120)), ["builtin operator 120", "supported are"]),
        ("float", changed(lambda net: types(net, Type.FLOAT32)), ["`t0`", "float32 where int8 is needed"]),
        ("uint8", changed(lambda net: types(net, Type.UINT8)), ["`t0`", "uint8", "only int8 is supported"]),
        ("int16", changed(lambda net: types(net, Type.INT16)), ["`t0`", "int16"]),
        ("sparse weights", changed(sparse), ["operator 0 (CONV_2D)", "`t1`", "sparse"]),
        ("asymmetric weights", changed(lambda net: weights(net).quantization.zeroPoint.__setitem__(0, 3)), ["`t1`", "symmetric"]),
        ("scales along another dimension", changed(lambda net: setattr(weights(net).quantization, "quantizedDimension", 1), per_channel), ["`t1`", "along dimension 1"]),
        ("a height that is not fixed", changed(lambda net: signature(net, 1)), ["`t0`", "not fixed (dimension 1)"]),
        ("a batch of two", changed(batch), ["`t0`", "batch of one"]),
        ("two inputs", changed(lambda net: two(net, "inputs")), ["2 inputs"]),
        ("two outputs", changed(lambda net: two(net, "outputs")), ["2 outputs"]),
        ("two subgraphs", changed(lambda net: net.model.subgraphs.append(net.graph)), ["2 subgraphs"]),
        ("no quantization", changed(no_quantization), ["`t0`", "no scale and zero point"]),
        ("a fused tanh", changed(lambda net: option(net, "fusedActivationFunction", 4)), ["CONV_2D", "fused activation number 4"]),
        ("a stride of 300", changed(lambda net: option(net, "strideH", 300)), ["stride 300", "1 to 255"]),
        ("a stride of 0", changed(lambda net: option(net, "strideH", 0)), ["stride 0"]),
        ("another output shape", changed(lambda net: option(net, "padding", 1), wide), ["`t3`", "its operator makes"]),
        ("groups", changed(broadcast, lambda: convolution(point=True)), ["in groups"]),
        ("a pool between scales", changed(lambda net: output_scale(net, 0.5), lambda: pool(Op.MAX_POOL_2D)), ["scale 0.5", "the same"]),
        ("a softmax of another scale", changed(lambda net: output_scale(net, 0.5), softmax), ["1/256"]),
        ("a logistic of another scale", function(Op.LOGISTIC), ["LOGISTIC", "1/256"]),
        ("a tanh of another scale", function(Op.TANH), ["TANH", "1/128"]),
        ("maps of other scales joined", changed(lambda net: output_scale(net, 0.5), lambda: concatenation(2)), ["CONCATENATION", "the same"]),
        ("rows joined", concatenation(2, 1), ["CONCATENATION", "dimension 1"]),
        ("a sum with channels", with_constant("Add", 16), ["ADD", "`t1`", "single number"]),
        ("a product with many channels", with_constant("Mul", 8), ["MUL", "`t1`", "beside 16 channels"]),
        ("channels out of 8 bits", with_constant("Mul", 16, zero_point=-128), ["MUL", "`t1`", "zero point 0"]),
        ("a negative slope", function(Op.LEAKY_RELU, None, "LeakyReluOptions", 2, alpha=-0.5), ["LEAKY_RELU", "negative"]),
        ("a hard swish of far scales", changed(lambda net: output_scale(net, 1e4), lambda: function(Op.HARD_SWISH)), ["HARD_SWISH", "too far apart"]),
        ("a scale of 0", changed(lambda net: output_scale(net, 0.0)), ["scale 0", "positive"]),
        ("a scale that is no number", changed(lambda net: output_scale(net, float("nan"))), ["scale NaN", "positive"]),
    ]


def per_channel():
    """A convolution with a scale for each channel, and a bias."""
    while True:
        net = convolution()
        conv = net.graph.operators[0]
        if len(net.graph.tensors[1].quantization.scale) > 1 and len(conv.inputs) == 3:
            return net


def wide():
    """A convolution that pads and has a bias."""
    while True:
        net = convolution()
        conv = net.graph.operators[0]
        if conv.builtinOptions.padding == 0 and len(conv.inputs) == 3 and net.graph.tensors[1].shape[1] == 3:
            options, (_, h, w, _) = conv.builtinOptions, net.graph.tensors[0].shape
            if h >= 5 and w >= 5 and options.strideH == options.dilationHFactor == options.dilationWFactor == 1:
                return net


makers = [
    ("convolution", convolution, 12),
    ("pointwise", lambda: convolution(point=True), 6),
    ("depthwise", lambda: convolution(depthwise=True), 12),
    ("dense", dense, 8),
    ("addition", addition, 4),
    ("average pool", lambda: pool(Op.AVERAGE_POOL_2D), 5),
    ("max pool", lambda: pool(Op.MAX_POOL_2D), 5),
    ("mean", mean, 8),
    ("pad", pad, 3),
    ("relu", lambda: relu(Op.RELU), 4),
    ("relu6", lambda: relu(Op.RELU6), 4),
    ("softmax", softmax, 4),
    ("views", views, 3),
    ("product", product, 4),
    ("product with a pixel", lambda: product("last"), 3),
    ("product of a pixel", lambda: product("first"), 3),
    ("product with a number", lambda: with_constant("Mul", 1), 4),
    ("product of channels", lambda: with_constant("Mul", 16, True, 0), 4),
    ("sum with a number", lambda: with_constant("Add", 1, bool(random.integers(2))), 4),
    ("concatenation", lambda: concatenation(2), 2),
    ("concatenation of more", lambda: concatenation(side(3), -1), 2),
    ("logistic", lambda: function(Op.LOGISTIC, (1 / 256, -128), version=2), 5),
    ("tanh", lambda: function(Op.TANH, (1 / 128, 0), version=2), 5),
    ("hard swish", lambda: function(Op.HARD_SWISH), 5),
    ("leaky relu", lambda: function(Op.LEAKY_RELU, None, "LeakyReluOptions", 2, alpha=random.uniform(0, 0.6)), 5),
    ("elu", lambda: function(Op.ELU), 4),
    ("requantization", lambda: function(Op.QUANTIZE, None, "QuantizeOptions", 2), 4),
    ("relu between scales", lambda: function(Op.RELU, version=2), 4),
]
cases = [equal(f"{name} {at}", make()) for name, make, count in makers for at in range(count)]
cases += [dict(kind="refused", name=name, says=says, file=net.bytes().hex()) for name, net, says in refused()]
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
print(path.name, len(cases), "cases,", path.stat().st_size, "bytes")
