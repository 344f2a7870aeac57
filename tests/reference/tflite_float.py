"""Makes tflite_float.json and tflite_float/*.tflite: float TensorFlow Lite files, each with what LiteRT's built-in kernels
compute, or with what an importer has to say that refuses it.

    pip install ai-edge-litert==2.3.0 numpy==2.4.6
    python tests/reference/tflite_float.py

Files of whole networks stand by themselves; those of single ops are in the list. Everything random has a fixed seed.
"""

import json
import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

random = np.random.default_rng(3)
Type, Op, Options = schema.TensorType, schema.BuiltinOperator, schema.BuiltinOptions
NONE, RELU, RELU_N1_TO_1, RELU6 = range(4)
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
TYPES = {np.dtype(np.float32): Type.FLOAT32, np.dtype(np.float16): Type.FLOAT16, np.dtype(np.int8): Type.INT8, np.dtype(np.int32): Type.INT32}


class Net:
    """A model put together tensor by tensor; the first tensor is the input."""

    def __init__(self, shape, signature=None):
        self.graph, self.model = schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs = [0]
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.tensor(shape)
        self.graph.tensors[0].shapeSignature = signature

    def tensor(self, shape, data=None, name=None, dtype=Type.FLOAT32):
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), dtype
        tensor.name = (name or "t%d" % len(self.graph.tensors)).encode()
        if data is not None:
            tensor.type = TYPES[data.dtype]
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8).copy()
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, data, dtype=np.float32):
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, data)

    def op(self, builtin, inputs, shape, options=None, version=1, **fields):
        """The output, of this shape."""
        code, op, output = schema.OperatorCodeT(), schema.OperatorT(), self.tensor(shape)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes), inputs, [output]
        if options:
            op.builtinOptionsType = getattr(Options, options)
            op.builtinOptions = getattr(schema, options + "T")()
            for name, value in fields.items():
                assert hasattr(op.builtinOptions, name), name
                setattr(op.builtinOptions, name, value)
        self.model.operatorCodes.append(code)
        self.graph.operators.append(op)
        self.graph.outputs = [output]
        return output

    def shape(self, tensor):
        return list(self.graph.tensors[tensor].shape)

    def weights(self, data, kind):
        """Weights as they are, as halves or codes behind DEQUANTIZE, or as codes that the operator reads itself."""
        if kind == "f32":
            return self.constant(data)
        if kind == "f16":
            return self.op(Op.DEQUANTIZE, [self.constant(data, np.float16)], data.shape, "DequantizeOptions", 3)
        axis = 3 if kind == "columns" else 0
        scale = np.abs(data).max(tuple(k for k in range(data.ndim) if k != axis), keepdims=True) / 127
        stored = self.constant(np.round(data / scale), np.int8)
        quantization = schema.QuantizationParametersT()
        quantization.scale = [float(s) for s in scale.flatten()]
        quantization.zeroPoint, quantization.quantizedDimension = [0] * scale.size, axis
        self.graph.tensors[stored].quantization = quantization
        return self.op(Op.DEQUANTIZE, [stored], data.shape, "DequantizeOptions", 5)

    def conv(self, x, count, filter, stride=1, padding=SAME, act=NONE, dilation=1, kind="f32", depthwise=False):
        _, h, w, c = self.shape(x)
        shape = [1, filter, filter, count] if depthwise else [count, filter, filter, c]
        taps = filter * filter * (1 if depthwise else c)
        data = np.float32(random.normal(0, (2 / taps) ** 0.5, shape))
        bias = np.float32(random.normal(0, 0.3, count))
        inputs = [
            x,
            self.weights(data, "columns" if depthwise and kind == "i8" else kind),
            self.weights(bias, "f16" if kind == "f16" else "f32"),
        ]
        out = [-(-e // stride) if padding == SAME else (e - (filter - 1) * dilation - 1) // stride + 1 for e in (h, w)]
        fields = dict(padding=padding, strideH=stride, strideW=stride, fusedActivationFunction=act)
        fields |= dict(dilationHFactor=dilation, dilationWFactor=dilation)
        if depthwise:
            fields |= dict(depthMultiplier=count // c)
        builtin, options = (Op.DEPTHWISE_CONV_2D, "DepthwiseConv2DOptions") if depthwise else (Op.CONV_2D, "Conv2DOptions")
        return self.op(builtin, inputs, [1, *out, count], options, 2, **fields)

    def dense(self, x, count, act=NONE, kind="f32", keep=False, bias=True):
        inputs = self.shape(x)[-1]
        data = np.float32(random.normal(0, inputs**-0.5, [count, inputs]))
        read = [x, self.weights(data, kind)] + ([self.constant(random.normal(0, 0.3, count))] if bias else [-1])
        shape = self.shape(x)[:-1] + [count]
        fields = dict(fusedActivationFunction=act, keepNumDims=keep)
        return self.op(Op.FULLY_CONNECTED, read, shape, "FullyConnectedOptions", 5, **fields)

    def pool(self, builtin, x, filter, stride, padding=SAME, act=NONE):
        _, h, w, c = self.shape(x)
        out = [-(-e // s) if padding == SAME else (e - f) // s + 1 for e, f, s in zip((h, w), filter, stride)]
        fields = dict(padding=padding, strideH=stride[0], strideW=stride[1], fusedActivationFunction=act)
        fields |= dict(filterHeight=filter[0], filterWidth=filter[1])
        return self.op(builtin, [x], [1, *out, c], "Pool2DOptions", **fields)

    def two(self, kind, a, b, shape=None, act=NONE):
        return self.op(getattr(Op, kind.upper()), [a, b], shape or self.shape(a), kind + "Options", fusedActivationFunction=act)

    def function(self, builtin, x, options=None, **fields):
        return self.op(builtin, [x], self.shape(x), options, **fields)

    def mean(self, x, keep=False, axes=(1, 2)):
        c = self.shape(x)[3]
        axes = self.constant(axes, np.int32)
        return self.op(Op.MEAN, [x, axes], [1, 1, 1, c] if keep else [1, c], "ReducerOptions", keepDims=keep)

    def reshape(self, x, shape, wanted=None):
        """`wanted` is a tensor with the shape; else the shape is a constant."""
        wanted = self.constant(shape, np.int32) if wanted is None else wanted
        return self.op(Op.RESHAPE, [x, wanted], shape, "ReshapeOptions")

    def bytes(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def map_net(h=None, w=None, c=None, **fields):
    return Net([1, *(int(given or random.integers(2, 8)) for given in (h, w, c))], **fields)


def weighted(kind="f32", depthwise=False, **fields):
    net = map_net(h=int(random.integers(5, 9)), w=int(random.integers(5, 9)))
    c = net.shape(0)[3]
    count = c * int(random.integers(1, 4)) if depthwise else int(random.integers(2, 7))
    net.conv(0, count, kind=kind, depthwise=depthwise, **fields)
    return net


def dense(**fields):
    net = Net([1, int(random.integers(1, 30))])
    net.dense(0, int(random.integers(2, 7)), **fields)
    return net


def dense_of_pixels():
    net = map_net()
    net.dense(0, 5, keep=True)
    return net


def tensors(kind, pixel=None, act=NONE):
    """The input with a convolution of itself; `pixel` says which of both is its mean."""
    net = map_net()
    h, w, c = net.shape(0)[1:]
    other = net.conv(0, c, 1)
    if pixel is None:
        net.two(kind, 0, other, act=act)
    else:
        mean = net.mean(other, keep=True)
        net.two(kind, *([0, mean] if pixel else [mean, 0]), net.shape(0), act)
    return net


def constant(kind, first=False, shape=None, act=NONE):
    """The input with a constant: one number, or one for each channel."""
    net = map_net()
    c = net.shape(0)[3]
    shape = {"one": [], "ones": [1, 1, 1, 1], "channel": [c], "channels": [1, 1, 1, c]}[shape or "channel"]
    k = net.constant(np.float32(random.uniform(0.5, 2, shape) * random.choice([-1, 1], shape)))
    net.two(kind, *([k, 0] if first else [0, k]), net.shape(0), act)
    return net


def limit(builtin, value):
    net = map_net()
    net.op(builtin, [0, net.constant(np.float32(value))], net.shape(0), "MaximumMinimumOptions")
    return net


def pooled(builtin, filter, stride, padding, act=NONE):
    net = map_net(h=7, w=8)
    net.pool(builtin, 0, filter, stride, padding, act)
    return net


def mean(**fields):
    net = map_net()
    net.mean(0, **fields)
    return net


def padded(amounts, value=None, mirror=False):
    net = map_net(c=3)
    h, w = net.shape(0)[1:3]
    (top, bottom), (left, right) = amounts
    k = net.constant([[0, 0], *amounts, [0, 0]], np.int32)
    inputs = [0, k] if value is None else [0, k, net.constant(np.float32(value))]
    builtin = Op.MIRROR_PAD if mirror else Op.PAD if value is None else Op.PADV2
    options = "MirrorPadOptions" if mirror else "PadOptions" if value is None else "PadV2Options"
    net.op(builtin, inputs, [1, h + top + bottom, w + left + right, 3], options)
    return net


def function(builtin, options=None, **fields):
    net = map_net()
    net.function(builtin, 0, options, **fields)
    return net


def swish(first=False, act=NONE, twice=False):
    """The input times its sigmoid, in two operators; `twice` reads the sigmoid once more."""
    net = map_net()
    gate = net.function(Op.LOGISTIC, 0)
    x = net.two("Mul", *([gate, 0] if first else [0, gate]), act=act)
    if twice:
        net.two("Add", x, gate)
    return net


def softmax(shape, beta):
    net = Net(shape)
    net.function(Op.SOFTMAX, 0, "SoftmaxOptions", beta=beta)
    return net


def concatenation(count, axis=3):
    net = map_net()
    h, w, c = net.shape(0)[1:]
    parts = [0] + [net.conv(0, int(random.integers(1, 5)), 1) for _ in range(count - 1)]
    total = sum(net.shape(part)[3] for part in parts)
    net.op(Op.CONCATENATION, parts, [1, h, w, total], "ConcatenationOptions", axis=axis)
    return net


def views():
    """The input in another shape, a convolution, a flat view of it that is changed number by number, a dense layer."""
    net = Net([1, 30], [-1, 30])
    x = net.op(Op.EXPAND_DIMS, [0, net.constant(1, np.int32)], [1, 1, 30], "ExpandDimsOptions")
    x = net.conv(net.reshape(x, [1, 2, 5, 3]), 4, 3)
    x = net.two("Mul", net.function(Op.TANH, net.reshape(x, [1, 40])), net.constant(np.float32(1.5)))
    x = net.dense(x, 6)
    net.op(Op.SQUEEZE, [x], [6], "SqueezeOptions", squeezeDims=[0])
    return net


def shape_of_any_batch():
    """What Keras makes of Flatten: the batch is read off the input."""
    net = Net([1, 3, 4, 2], [-1, 3, 4, 2])
    x = net.conv(0, 3, 3)
    whole = net.op(Op.SHAPE, [x], [4], "ShapeOptions", outType=Type.INT32)
    ends = [net.constant([k], np.int32) for k in (0, 1, 1)]
    batch = net.op(Op.STRIDED_SLICE, [whole, *ends], [], "StridedSliceOptions", shrinkAxisMask=1)
    packed = net.op(Op.PACK, [batch, net.constant(36, np.int32)], [2], "PackOptions", valuesCount=2)
    for tensor in (whole, batch, packed):
        net.graph.tensors[tensor].type = Type.INT32
    net.dense(net.reshape(x, [1, 36], packed), 4)
    return net


def named(*names):
    """Tensors of these names, or of one name, or without."""
    net = map_net()
    net.function(Op.TANH, net.function(Op.RELU, net.conv(0, 2, 1)))
    for tensor, name in zip([0, *(op.outputs[0] for op in net.graph.operators)], names):
        net.graph.tensors[tensor].name = name
    return net


def resnet(kind="f16", width=8):
    """ResNet-8 in narrow, batch norms left over where a sum stands between, weights as halves."""
    net = Net([1, 32, 32, 3], [-1, 32, 32, 3])
    x = net.conv(0, width, 3, act=RELU, kind=kind)
    for stage in range(3):
        stride, count = 1 if stage == 0 else 2, width << stage
        y = net.conv(x, count, 3, stride, act=RELU, kind=kind)
        y = net.conv(y, count, 3, kind=kind)
        shortcut = x if stage == 0 else net.conv(x, count, 1, stride, kind=kind)
        x = net.two("Add", shortcut, y, act=RELU)
        scale, shift = (net.constant(np.float32(random.uniform(0.5, 1.5, count) - k)) for k in (0, 1))
        x = net.two("Add", net.two("Mul", x, scale), shift)
    x = net.pool(Op.AVERAGE_POOL_2D, x, [8, 8], [8, 8], VALID)
    net.dense(net.reshape(x, [1, width << 2]), 10, kind=kind)
    return net


def mobilenet():
    """Inverted residuals with hard-swish and squeeze-and-excite, as MobileNetV3 has them."""
    net = Net([1, 24, 24, 3])
    x = net.function(Op.HARD_SWISH, net.conv(0, 8, 3, 2))
    for stride, count in ((1, 8), (2, 12), (1, 12)):
        c = net.shape(x)[3]
        y = net.conv(x, 3 * c, 1, act=RELU6)
        if stride == 2:
            h, w = net.shape(y)[1:3]
            k = net.constant([[0, 0], [0, 1], [0, 1], [0, 0]], np.int32)
            y = net.op(Op.PAD, [y, k], [1, h + 1, w + 1, 3 * c], "PadOptions")
        y = net.conv(y, 3 * c, 3, stride, VALID if stride == 2 else SAME, RELU6, depthwise=True)
        gate = net.conv(net.mean(y, keep=True), 4, 1, act=RELU)
        gate = net.two("Add", net.conv(gate, 3 * c, 1), net.constant(np.float32(3)), act=RELU6)
        gate = net.two("Mul", gate, net.constant(np.float32(1 / 6)))
        y = net.conv(net.two("Mul", y, gate), count, 1)
        x = net.two("Add", x, y) if stride == 1 and c == count else y
    x = net.function(Op.GELU, net.conv(x, 16, 1), "GeluOptions", approximate=False)
    net.function(Op.SOFTMAX, net.dense(net.mean(x), 5), "SoftmaxOptions", beta=1.0)
    return net


def run(file):
    interpreter = Interpreter(model_content=file, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    while True:
        given = np.round(random.uniform(-4, 4, source["shape"]), 3).astype(np.float32)
        interpreter.set_tensor(source["index"], given)
        interpreter.invoke()
        made = interpreter.get_tensor(result["index"])
        if made.std() > 0:
            return given, made


def numbers(array):
    return [float(f"{x:.9g}") for x in array.flatten()]


def equal(name, net, nodes=None):
    given, made = run(net.bytes())
    assert np.isfinite(made).all(), name
    assert list(made.shape) == net.shape(net.graph.outputs[0]), (name, made.shape)
    return dict(kind="equal", name=name, input=numbers(given), output=numbers(made), file=net.bytes().hex())


def without_dequantize(net):
    """The weights are int8, and the operator reads them itself."""
    first, second = net.graph.operators
    second.inputs[1] = first.inputs[0]
    net.graph.operators = [second]
    net.model.operatorCodes[0] = net.model.operatorCodes.pop()
    second.opcodeIndex = 0
    return net


def dynamic_range():
    """LiteRT rounds activations here; what is expected is the same network with its weights behind DEQUANTIZE."""
    case = equal("codes that the operator reads itself", net := weighted("i8", filter=3))
    return case | dict(file=without_dequantize(net).bytes().hex())


def changed(net, change):
    change(net)
    return net


def refused():
    """Nets that are wrong in one way, and what has to be said of each."""

    def builtin(number, custom=None):
        def change(net):
            code = net.model.operatorCodes[0]
            code.builtinCode = code.deprecatedBuiltinCode = number
            code.customCode = custom

        return change

    def kind(tensor, dtype):
        return lambda net: setattr(net.graph.tensors[tensor], "type", dtype)

    def option(name, value):
        return lambda net: setattr(net.graph.operators[0].builtinOptions, name, value)

    def value(tensor, at, number):
        def change(net):
            net.model.buffers[net.graph.tensors[tensor].buffer].data[4 * at : 4 * at + 4] = np.float32([number]).view(np.uint8)

        return change

    def shape(tensor, sides):
        return lambda net: setattr(net.graph.tensors[tensor], "shape", sides)

    def signature(sides):
        return lambda net: setattr(net.graph.tensors[0], "shapeSignature", sides)

    def computed_weights(net):
        net.graph.operators[0].inputs[1] = 0

    def half_a_buffer(net):
        buffer = net.model.buffers[1]
        buffer.data = buffer.data[: len(buffer.data) // 2]

    def asymmetric(net):
        net.graph.tensors[net.graph.operators[0].inputs[0]].quantization.zeroPoint = [0] * 9

    def quantized_inside(net):
        net.op(Op.QUANTIZE, [net.graph.outputs[0]], net.shape(net.graph.outputs[0]))
        net.graph.tensors[net.graph.outputs[0]].type = Type.INT8

    def unused(net):
        outputs = net.graph.outputs
        net.function(Op.TANH, outputs[0])
        net.graph.outputs = outputs

    def flat_then_conv(net):
        h, w, c = net.shape(net.graph.outputs[0])[1:]
        net.conv(net.reshape(net.graph.outputs[0], [1, h * w, 1, c]), 2, 1)

    def backwards(net):
        net.function(Op.TANH, net.graph.outputs[0])
        net.graph.operators.reverse()

    def odd(kind, shape):
        net = map_net(h=4, w=5, c=3)
        net.two(kind, 0, net.constant(np.ones(shape, np.float32)), net.shape(0))
        return net

    conv = lambda: weighted(filter=3)
    return [
        ("a custom op", changed(conv(), builtin(Op.CUSTOM, b"Detect")), ["operator 0 (CUSTOM `Detect`), tensor `t3`", "supported are"]),
        ("an lstm", changed(conv(), builtin(Op.LSTM)), ["operator 0 (LSTM)", "export the network without it"]),
        ("a resize", changed(conv(), builtin(Op.RESIZE_BILINEAR)), ["operator 0 (RESIZE_BILINEAR)", "supported are"]),
        ("float64", changed(conv(), kind(0, Type.FLOAT64)), ["`t0`", "float64", "export the network as float32"]),
        ("half activations", changed(conv(), kind(3, Type.FLOAT16)), ["`t3`", "float16 inside a float network"]),
        ("codes inside", changed(conv(), quantized_inside), ["operator 1 (QUANTIZE)", "`t4`", "int8"]),
        ("int64 weights", changed(conv(), kind(1, Type.INT64)), ["operator 0 (CONV_2D), tensor `t1`", "int64"]),
        ("a height that is not fixed", changed(conv(), signature([-1, -1, 8, 3])), ["`t0`", "not fixed (dimension 1)"]),
        ("a batch of two", changed(conv(), shape(0, [2, 5, 5, 3])), ["`t0`", "batch of one"]),
        ("a weight that is no number", changed(conv(), value(1, 5, np.nan)), ["`t1` holds NaN at element 5"]),
        ("an infinite bias", changed(conv(), value(2, 0, -np.inf)), ["`t2` holds -inf at element 0"]),
        ("weights that are computed", changed(dense(), computed_weights), ["FULLY_CONNECTED", "`t0` has to be a constant"]),
        ("weights cut short", changed(conv(), half_a_buffer), ["`t1`", "do not fit together"]),
        ("scales that do not fit", changed(weighted("i8", filter=1), asymmetric), ["CONV_2D", "9 zero points"]),
        ("a fused tanh", changed(conv(), option("fusedActivationFunction", 4)), ["fused activation number 4"]),
        ("a stride of 0", changed(conv(), option("strideH", 0)), ["stride 0"]),
        ("two inputs", changed(conv(), lambda net: setattr(net.graph, "inputs", [0, 1])), ["2 inputs"]),
        ("two outputs", changed(conv(), lambda net: setattr(net.graph, "outputs", [3, 3])), ["2 outputs"]),
        ("an output that is the input", changed(conv(), lambda net: setattr(net.graph, "outputs", [0])), ["no operator makes the output, tensor `t0`"]),
        ("an operator for nothing", changed(conv(), unused), ["`t4` is made but never used", "export only"]),
        ("operators in another order", changed(conv(), backwards), ["operator 0 (TANH)", "`t3`", "running order"]),
        ("a view that a convolution reads", changed(conv(), flat_then_conv), ["is a view of a map of", "leave out the RESHAPE"]),
        ("mirrored padding", padded([(1, 1), (1, 1)], mirror=True), ["MIRROR_PAD", "only zeros"]),
        ("padding with ones", padded([(1, 1), (1, 1)], value=1.0), ["PADV2", "another number than 0"]),
        ("a mean of rows", mean(axes=(1,)), ["`t1`", "axes 1 and 2"]),
        ("a division by zero", odd_division(), ["DIV", "divides by zero"]),
        ("a constant for each column", odd("Add", [5, 1]), ["`t1` is a constant of [5, 1] beside a map of [4, 5, 3]"]),
        ("a constant for each pixel", odd("Mul", [4, 5, 3]), ["`t1` is a constant of [4, 5, 3]"]),
        ("a sum with a pixel", tensors("Add", True), ["ADD", "have to have one shape"]),
        ("a quotient", tensors("Div"), ["DIV", "only division by a constant"]),
        ("rows joined", concatenation(2, axis=1), ["CONCATENATION", "dimension 1"]),
    ]


def odd_division():
    net = map_net(c=2)
    net.two("Div", 0, net.constant(np.float32([1, 0])))
    return net


cases = [
    ("convolution", weighted(filter=3)),
    ("convolution, even filter and stride", weighted(filter=2, stride=2, act=RELU)),
    ("convolution, odd padding", weighted(filter=3, stride=2, act=RELU6)),
    ("convolution without padding", weighted(filter=3, padding=VALID, act=RELU_N1_TO_1)),
    ("convolution, dilated", weighted(filter=3, dilation=2)),
    ("convolution of halves", weighted("f16", filter=3)),
    ("convolution of codes", weighted("i8", filter=3)),
    ("depthwise", weighted(filter=3, depthwise=True)),
    ("depthwise, stride 2", weighted(filter=3, stride=2, depthwise=True, act=RELU6)),
    ("depthwise, even filter", weighted(filter=4, stride=3, depthwise=True)),
    ("depthwise of halves", weighted("f16", filter=3, depthwise=True)),
    ("depthwise of codes", weighted("i8", filter=3, depthwise=True, padding=VALID)),
    ("dense", dense()),
    ("dense with relu", dense(act=RELU)),
    ("dense of halves", dense(kind="f16")),
    ("dense of codes", dense(kind="i8", bias=False)),
    ("dense of pixels", dense_of_pixels()),
    ("sum", tensors("Add")),
    ("sum with relu", tensors("Add", act=RELU)),
    ("difference", tensors("Sub")),
    ("difference with clamp", tensors("Sub", act=RELU_N1_TO_1)),
    ("product", tensors("Mul", act=RELU6)),
    ("product with a pixel", tensors("Mul", True)),
    ("product of a pixel", tensors("Mul", False)),
    ("sum with a constant", constant("Add")),
    ("sum with one number", constant("Add", shape="one", act=RELU6)),
    ("constant and a sum", constant("Add", True, "channels")),
    ("difference from a constant", constant("Sub", True)),
    ("difference with a constant", constant("Sub", shape="ones")),
    ("product with a constant", constant("Mul", shape="channels", act=RELU)),
    ("product with one number", constant("Mul", True, "one")),
    ("quotient by a constant", constant("Div")),
    ("quotient by one number", constant("Div", shape="one")),
    ("maximum", limit(Op.MAXIMUM, -0.5)),
    ("minimum", limit(Op.MINIMUM, 1.25)),
    ("average pool", pooled(Op.AVERAGE_POOL_2D, [3, 2], [2, 1], SAME)),
    ("average pool without padding", pooled(Op.AVERAGE_POOL_2D, [2, 3], [2, 3], VALID, RELU)),
    ("max pool", pooled(Op.MAX_POOL_2D, [3, 3], [2, 2], SAME)),
    ("max pool without padding", pooled(Op.MAX_POOL_2D, [2, 2], [2, 2], VALID, RELU6)),
    ("mean", mean()),
    ("mean that keeps its sides", mean(keep=True, axes=(-2, -3))),
    ("padding", padded([(1, 2), (0, 3)])),
    ("padding with a stated zero", padded([(0, 1), (2, 0)], value=0.0)),
    ("relu", function(Op.RELU)),
    ("relu6", function(Op.RELU6)),
    ("relu from -1 to 1", function(Op.RELU_N1_TO_1)),
    ("logistic", function(Op.LOGISTIC)),
    ("tanh", function(Op.TANH)),
    ("hard swish", function(Op.HARD_SWISH)),
    ("leaky relu", function(Op.LEAKY_RELU, "LeakyReluOptions", alpha=0.125)),
    ("elu", function(Op.ELU)),
    ("gelu", function(Op.GELU, "GeluOptions", approximate=False)),
    ("gelu by tanh", function(Op.GELU, "GeluOptions", approximate=True)),
    ("swish", swish()),
    ("swish with relu", swish(True, RELU)),
    ("swish and its sigmoid", swish(twice=True)),
    ("softmax", softmax([1, 11], 1.0)),
    ("softmax of pixels", softmax([1, 3, 4, 5], 0.5)),
    ("concatenation", concatenation(2)),
    ("concatenation of four", concatenation(4, axis=-1)),
    ("views", views()),
    ("the shape of any batch", shape_of_any_batch()),
    ("one name for all", named(*[b"same"] * 4)),
    ("no names", named(*[b""] * 4)),
    ("names as ours", named(b"x", b"input", b"input#2", b"x")),
]
cases = [equal(name, net) for name, net in cases] + [dynamic_range()]
cases += [dict(kind="refused", name=name, says=says, file=net.bytes().hex()) for name, net, says in refused()]
folder = pathlib.Path(__file__).with_suffix("")
folder.mkdir(exist_ok=True)
for name, net in ("resnet_8_f16", resnet()), ("mobilenet_v3_like", mobilenet()):
    file = folder / f"{name}.tflite"
    file.write_bytes(net.bytes())
    print(file.name, file.stat().st_size, "bytes")
    case = equal(name, net)
    cases.append(case | dict(kind="network", file=f"tflite_float/{file.name}"))
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
print(path.name, len(cases), "cases,", path.stat().st_size, "bytes")
