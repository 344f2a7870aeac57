"""Makes ops_of_tflite_micro.json: what TensorFlow Lite for Microcontrollers computes for models of one op.

    pip install tflite-micro==0.dev20261023182759 numpy==2.4.6
    python tests/reference/ops_of_tflite_micro.py

Multipliers, shifts and clamps are derived from the scales here as TensorFlow Lite derives them when it prepares an op,
so that the file speaks of whole numbers only. Everything random has a fixed seed.
"""

import json
import math
import pathlib

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

random = np.random.default_rng(1)


def f32(value):
    """The value as a float of 32 bits holds it, which is how the file format keeps a scale."""
    return float(np.float32(value))


def quantize_multiplier(real):
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = int(math.floor(fraction * (1 << 31) + 0.5))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def clamp(activation, scale, zero_point):
    low, high = -128, 127
    code = lambda real: zero_point + int(math.floor(np.float32(real) / np.float32(scale) + 0.5))
    if activation in ("RELU", "RELU6"):
        low = max(low, code(0.0))
    if activation == "RELU6":
        high = min(high, code(6.0))
    return [low, high]


class OneOp:
    """A model with a single op, put together tensor by tensor."""

    def __init__(self):
        self.tensors, self.buffers = [], [schema.BufferT()]

    def tensor(self, shape, scale=None, zero_point=0, data=None, dtype=schema.TensorType.INT8):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = list(shape), dtype, b"t%d" % len(self.tensors)
        if scale is not None:
            scales = list(np.atleast_1d(scale))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [int(zero_point)] * len(scales)
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def run(self, builtin, options, options_type, op_inputs, feeds, output, version=1):
        op, code, graph, model = schema.OperatorT(), schema.OperatorCodeT(), schema.SubGraphT(), schema.ModelT()
        op.inputs, op.outputs = op_inputs, [output]
        op.builtinOptions, op.builtinOptionsType = options, options_type
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
        graph.tensors, graph.operators = self.tensors, [op]
        graph.inputs, graph.outputs = [at for at, _ in feeds], [output]
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        interpreter = runtime.Interpreter.from_bytes(bytes(builder.Output()))
        for at, (_, codes) in enumerate(feeds):
            interpreter.set_input(codes, at)
        interpreter.invoke()
        return interpreter.get_output(0)


def codes(shape):
    if random.integers(4) == 0:
        return random.choice([-128, 127], shape).astype(np.int8)
    return random.integers(-128, 128, shape).astype(np.int8)


def zero():
    return int(random.choice([-128, 127]) if random.integers(8) == 0 else random.integers(-60, 61))


def activation():
    return str(random.choice(["NONE", "NONE", "RELU", "RELU6"]))


def fused(name):
    return getattr(schema.ActivationFunctionType, name)


def described(array, zero_point):
    shape = ([1, 1] + list(array.shape[1:]))[-3:]
    return {"shape": shape, "zero_point": zero_point, "codes": array.flatten().tolist()}


def same(extent, filter, stride, dilation):
    out = -(-extent // stride)
    total = max((out - 1) * stride + (filter - 1) * dilation + 1 - extent, 0)
    return out, total // 2, total - total // 2


def window(h, w, filter, stride, dilation, padding):
    if padding == "SAME":
        (oh, top, bottom), (ow, left, right) = (
            same(e, f, s, d) for e, f, s, d in zip((h, w), filter, stride, dilation)
        )
    else:
        top = bottom = left = right = 0
        oh, ow = (
            (e - (f - 1) * d - 1) // s + 1 for e, f, s, d in zip((h, w), filter, stride, dilation)
        )
    record = {
        "filter": filter,
        "stride": stride,
        "dilation": dilation,
        "padding": [top, bottom, left, right],
    }
    return record, oh, ow


def random_window(h, w, dilated):
    filter = [int(random.integers(1, 4)), int(random.integers(1, 4))]
    stride = [int(random.integers(1, 4))] * 2
    dilation = [int(random.integers(1, 3)) if dilated and stride[0] == 1 else 1] * 2
    padding = str(random.choice(["SAME", "VALID"]))
    if (filter[0] - 1) * dilation[0] >= h or (filter[1] - 1) * dilation[1] >= w:
        padding = "SAME"
    return filter, stride, dilation, padding


def channels(in_scale, weight_scales, out_scale, out_zero, act):
    factors = [quantize_multiplier(in_scale * s / out_scale) for s in weight_scales]
    return {
        "multiplier": [f[0] for f in factors],
        "shift": [f[1] for f in factors],
        "clamp": clamp(act, out_scale, out_zero),
    }


def convolution(depthwise=False, pointwise=False):
    h, w, c = (int(n) for n in random.integers(2, 7, 3))
    filter, stride, dilation, padding = random_window(h, w, True)
    if pointwise:
        filter, stride, dilation = [1, 1], [1, 1], [1, 1]
    multiplier = int(random.integers(1, 4)) if depthwise else 1
    count = c * multiplier if depthwise else int(random.integers(1, 7))
    record, oh, ow = window(h, w, filter, stride, dilation, padding)
    taps = filter[0] * filter[1] * (1 if depthwise else c)
    in_scale, in_zero = f32(random.uniform(0.01, 0.1)), zero()
    scales = [f32(s) for s in random.uniform(0.001, 0.02, count)]
    out_scale = f32(in_scale * np.mean(scales) * 60 * math.sqrt(taps))
    out_zero, act = zero(), activation()
    shape = [1, *filter, count] if depthwise else [count, *filter, c]
    weights = random.integers(-127, 128, shape).astype(np.int8)
    bias = random.integers(-20000, 20000, count).astype(np.int32)
    one = OneOp()
    x = one.tensor([1, h, w, c], in_scale, in_zero)
    k = one.tensor(shape, scales, 0, weights)
    one.tensors[k].quantization.quantizedDimension = 3 if depthwise else 0
    bias_scales = [in_scale * s for s in scales]
    b = one.tensor([count], bias_scales, 0, bias, schema.TensorType.INT32)
    y = one.tensor([1, oh, ow, count], out_scale, out_zero)
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.fusedActivationFunction = fused(act)
    if depthwise:
        options.depthMultiplier = multiplier
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    kind = schema.BuiltinOptions.DepthwiseConv2DOptions if depthwise else schema.BuiltinOptions.Conv2DOptions
    given = codes([1, h, w, c])
    made = one.run(getattr(schema.BuiltinOperator, name), options, kind, [x, k, b], [(x, given)], y, 3)
    return {
        "op": "depthwise" if depthwise else "pointwise" if pointwise else "conv2d",
        "inputs": [described(given, in_zero)],
        "output": described(made, out_zero),
        "window": record,
        "depth_multiplier": multiplier,
        "weights": weights.flatten().tolist(),
        "bias": bias.tolist(),
        **channels(in_scale, scales, out_scale, out_zero, act),
    }


def dense():
    inputs, outputs = int(random.integers(1, 60)), int(random.integers(1, 9))
    in_scale, in_zero = f32(random.uniform(0.01, 0.1)), zero()
    weight_scale = 2.0**-7
    out_scale, out_zero, act = f32(in_scale * weight_scale * 60 * math.sqrt(inputs)), zero(), activation()
    weights = random.integers(-127, 128, [outputs, inputs]).astype(np.int8)
    bias = random.integers(-20000, 20000, outputs).astype(np.int32)
    one = OneOp()
    x = one.tensor([1, inputs], in_scale, in_zero)
    k = one.tensor([outputs, inputs], weight_scale, 0, weights)
    b = one.tensor([outputs], in_scale * weight_scale, 0, bias, schema.TensorType.INT32)
    y = one.tensor([1, outputs], out_scale, out_zero)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = fused(act)
    given = codes([1, inputs])
    kind = schema.BuiltinOptions.FullyConnectedOptions
    made = one.run(schema.BuiltinOperator.FULLY_CONNECTED, options, kind, [x, k, b], [(x, given)], y, 4)
    return {
        "op": "dense",
        "inputs": [described(given, in_zero)],
        "output": described(made, out_zero),
        "weights": weights.flatten().tolist(),
        "bias": bias.tolist(),
        **channels(in_scale, [weight_scale] * outputs, out_scale, out_zero, act),
    }


def addition():
    shape = [1, *(int(n) for n in random.integers(1, 9, 3))]
    scales = [f32(s) for s in random.uniform(0.001, 0.1, 3)]
    zeros, act = [zero(), zero(), zero()], activation()
    one = OneOp()
    a, b, y = (one.tensor(shape, s, z) for s, z in zip(scales, zeros))
    options = schema.AddOptionsT()
    options.fusedActivationFunction = fused(act)
    given = [codes(shape), codes(shape)]
    feeds = [(a, given[0]), (b, given[1])]
    made = one.run(schema.BuiltinOperator.ADD, options, schema.BuiltinOptions.AddOptions, [a, b], feeds, y, 2)
    twice = 2.0 * max(scales[:2])
    return {
        "op": "add",
        "inputs": [described(g, z) for g, z in zip(given, zeros)],
        "output": described(made, zeros[2]),
        "factors": [quantize_multiplier(s / twice) for s in scales[:2]]
        + [quantize_multiplier(twice / ((1 << 20) * scales[2]))],
        "clamp": clamp(act, scales[2], zeros[2]),
    }


def pool(name):
    h, w, c = (int(n) for n in random.integers(2, 9, 3))
    filter, stride, _, padding = random_window(h, w, False)
    record, oh, ow = window(h, w, filter, stride, [1, 1], padding)
    scale, z, act = f32(random.uniform(0.01, 0.1)), zero(), activation()
    one = OneOp()
    x, y = one.tensor([1, h, w, c], scale, z), one.tensor([1, oh, ow, c], scale, z)
    options = schema.Pool2DOptionsT()
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = stride
    options.filterHeight, options.filterWidth = filter
    options.fusedActivationFunction = fused(act)
    given = codes([1, h, w, c])
    builtin = getattr(schema.BuiltinOperator, name.upper() + "_2D")
    made = one.run(builtin, options, schema.BuiltinOptions.Pool2DOptions, [x], [(x, given)], y, 2)
    return {
        "op": name,
        "inputs": [described(given, z)],
        "output": described(made, z),
        "window": record,
        "clamp": clamp(act, scale, z),
    }


def global_average_pool():
    h, w, c = (int(n) for n in random.integers(1, 9, 3))
    in_scale, out_scale = (f32(s) for s in random.uniform(0.01, 0.05, 2))
    in_zero, out_zero = zero(), zero()
    one = OneOp()
    x = one.tensor([1, h, w, c], in_scale, in_zero)
    axes = one.tensor([2], None, 0, np.array([1, 2], np.int32), schema.TensorType.INT32)
    y = one.tensor([1, 1, 1, c], out_scale, out_zero)
    options = schema.ReducerOptionsT()
    options.keepDims = True
    # Channels with means all over the range.
    given = (codes([1, h, w, c]) // 3 + random.integers(-80, 81, c)).astype(np.int8)
    kind = schema.BuiltinOptions.ReducerOptions
    made = one.run(schema.BuiltinOperator.MEAN, options, kind, [x, axes], [(x, given)], y, 2)
    # The number of pixels is divided out of the multiplier, rounded down.
    multiplier, shift = quantize_multiplier(in_scale / out_scale)
    pixels = h * w
    more = min(pixels.bit_length() - 1, 32, 31 + shift)
    return {
        "op": "global_average_pool",
        "inputs": [described(given, in_zero)],
        "output": described(made, out_zero),
        "factors": [[(multiplier << more) // pixels, shift - more]],
        "clamp": [-128, 127],
    }


def pad():
    h, w, c = (int(n) for n in random.integers(1, 7, 3))
    top, bottom, left, right = (int(n) for n in random.integers(0, 4, 4))
    scale, z = f32(random.uniform(0.01, 0.1)), zero()
    one = OneOp()
    x = one.tensor([1, h, w, c], scale, z)
    amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    p = one.tensor([4, 2], None, 0, amounts, schema.TensorType.INT32)
    y = one.tensor([1, h + top + bottom, w + left + right, c], scale, z)
    given = codes([1, h, w, c])
    kind = schema.BuiltinOptions.PadOptions
    made = one.run(schema.BuiltinOperator.PAD, schema.PadOptionsT(), kind, [x, p], [(x, given)], y, 2)
    return {
        "op": "pad",
        "inputs": [described(given, z)],
        "output": described(made, z),
        "window": {"padding": [top, bottom, left, right]},
    }


def softmax(at):
    # No more than 511 classes can be as good as equal: beyond that, TensorFlow Lite shifts by more than 31 bits.
    classes = [1, 2, 3, 5, 10, 10, 12, 100, 500][at % 9]
    scale, beta = f32(2.0 ** random.uniform(-7, 0)), 1.0
    given = codes([1, classes])
    one = OneOp()
    x, y = one.tensor([1, classes], scale, zero()), one.tensor([1, classes], 1 / 256, -128)
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    kind = schema.BuiltinOptions.SoftmaxOptions
    made = one.run(schema.BuiltinOperator.SOFTMAX, options, kind, [x], [(x, given)], y, 2)
    multiplier, left_shift = quantize_multiplier(beta * scale * (1 << 26))
    radius = 1.0 * ((1 << 5) - 1) * (1 << 26) / (1 << left_shift)
    return {
        "op": "softmax",
        "inputs": [described(given, 0)],
        "output": described(made, -128),
        "multiplier": multiplier,
        "left_shift": left_shift,
        "difference_min": -int(math.floor(radius)),
    }


def multiplication(at):
    a_shape = [1, *(int(n) for n in random.integers(1, 9, 3))]
    # A tensor of the same shape, or a factor for each channel.
    b_shape = a_shape if at % 2 == 0 else [1, 1, 1, a_shape[3]]
    scales = [f32(s) for s in random.uniform(0.001, 0.1, 2)]
    scales.append(f32(scales[0] * scales[1] * random.uniform(20, 200)))
    zeros, act = [zero(), zero(), zero()], activation()
    one = OneOp()
    a, b, y = (one.tensor(s, *q) for s, q in zip([a_shape, b_shape, a_shape], zip(scales, zeros)))
    options = schema.MulOptionsT()
    options.fusedActivationFunction = fused(act)
    given = [codes(a_shape), codes(b_shape)]
    feeds = [(a, given[0]), (b, given[1])]
    made = one.run(schema.BuiltinOperator.MUL, options, schema.BuiltinOptions.MulOptions, [a, b], feeds, y, 2)
    return {
        "op": "multiply",
        "inputs": [described(g, z) for g, z in zip(given, zeros)],
        "output": described(made, zeros[2]),
        "factors": [quantize_multiplier(scales[0] * scales[1] / scales[2])],
        "clamp": clamp(act, scales[2], zeros[2]),
    }


def concatenation():
    h, w, *counts = (int(n) for n in random.integers(1, 7, 4))
    scale, z = f32(random.uniform(0.01, 0.1)), zero()
    one = OneOp()
    given = [codes([1, h, w, c]) for c in counts]
    inputs = [one.tensor(g.shape, scale, z) for g in given]
    y = one.tensor([1, h, w, sum(counts)], scale, z)
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    kind = schema.BuiltinOptions.ConcatenationOptions
    builtin = schema.BuiltinOperator.CONCATENATION
    made = one.run(builtin, options, kind, inputs, list(zip(inputs, given)), y, 2)
    return {
        "op": "concat",
        "inputs": [described(g, z) for g in given],
        "output": described(made, z),
    }


cases = (
    [convolution() for _ in range(12)]
    + [convolution(pointwise=True) for _ in range(6)]
    + [convolution(depthwise=True) for _ in range(12)]
    + [dense() for _ in range(6)]
    + [addition() for _ in range(10)]
    + [pool("average_pool") for _ in range(8)]
    + [pool("max_pool") for _ in range(6)]
    + [global_average_pool() for _ in range(12)]
    + [pad() for _ in range(3)]
    + [softmax(at) for at in range(27)]
    + [multiplication(at) for at in range(16)]
    + [concatenation() for _ in range(4)]
)
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
print(path.name, len(cases), "cases,", path.stat().st_size, "bytes")
