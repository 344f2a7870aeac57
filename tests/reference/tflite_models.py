"""Makes tflite_models/*.txt: what TensorFlow Lite for Microcontrollers computes for whole int8 models, op by op.

    cargo xtask fetch
    pip install tflite-micro==0.dev20261023182759 numpy==2.4.6
    python tests/reference/tflite_models.py

A line for each input: the CRC-32 of the codes that each operator makes, of those that a model image keeps as an op. The
inputs are made by `codes` below: all -128, all 127, and patterns of whole numbers.
"""

import pathlib
import sys
import zlib

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

INPUTS = 104
ARENA_BYTES = 1 << 22
LEFT_OUT = {
    getattr(schema.BuiltinOperator, name)
    for name in ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "SHAPE", "STRIDED_SLICE", "PACK")
}


def codes(at, shape):
    """Input number `at`: edges first, then noise and coarse patterns in turn."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    if at < 2:
        value = np.full(i.shape, [0, 255][at], np.uint64)
    elif at % 2 == 0:
        value = (i * 2654435761 + at * 40503) % 2**32
        value = (value ^ (value >> 15)) * 2246822519 % 2**32
        value = (value >> 13) % 256
    else:
        value = (i // (1 + at % 7) * (at + 3) + (i * i >> (at % 13))) % 256
    return (value.astype(np.int64) - 128).astype(np.int8).reshape(shape)


def kind(model, op):
    code = model.operatorCodes[op.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def with_all_outputs(model):
    """The same network from codes to codes, with every op's output as an output of the network."""
    graph = model.subgraphs[0]
    inside = [op for op in graph.operators if kind(model, op) not in LEFT_OUT]
    for op in graph.operators:
        if kind(model, op) == schema.BuiltinOperator.QUANTIZE:
            graph.inputs = [op.outputs[0]]
    border = (schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE)
    graph.operators = [op for op in graph.operators if kind(model, op) not in border]
    graph.outputs = [op.outputs[0] for op in inside]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[-1]]


def invoke(interpreter, given, outputs):
    interpreter.set_input(given, 0)
    interpreter.invoke()
    return [interpreter.get_output(at) for at in range(outputs)]


def lines(path):
    file = path.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file))
    float_border = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].type == schema.TensorType.FLOAT32
    cut, source, result = with_all_outputs(model)
    outputs = len(model.subgraphs[0].outputs)
    every_op = runtime.Interpreter.from_bytes(cut, arena_size=ARENA_BYTES)
    as_it_is = runtime.Interpreter.from_bytes(file, arena_size=ARENA_BYTES)
    scales = [(np.float32(t.quantization.scale[0]), int(t.quantization.zeroPoint[0])) for t in (source, result)]
    for at in range(INPUTS):
        given = codes(at, source.shape)
        made = invoke(every_op, given, outputs)
        # The file as it is has to give the same: asking for more outputs changes nothing.
        if float_border:
            (scale, zero), (out_scale, out_zero) = scales
            real = invoke(as_it_is, (given.astype(np.float32) - np.float32(zero)) * scale, 1)[0]
            whole = np.round(real / out_scale).astype(int) + out_zero
        else:
            whole = invoke(as_it_is, given, 1)[0]
        assert (whole.flatten() == made[-1].flatten()).all(), (path.name, at)
        yield " ".join(f"{zlib.crc32(codes.tobytes()):08x}" for codes in made)


root = pathlib.Path(__file__).parents[2]
models = [pathlib.Path(name) for name in sys.argv[1:]] or sorted((root / "target/assets/tflite").glob("*.tflite"))
folder = pathlib.Path(__file__).with_suffix("")
folder.mkdir(exist_ok=True)
for path in models:
    made = list(lines(path))
    assert all(kept == (at, line) for kept, (at, line) in zip(enumerate(made), enumerate(lines(path))))
    golden = folder / (path.stem + ".txt")
    golden.write_text("\n".join(made) + "\n")
    print(golden.name, len(made), "inputs,", len(made[0].split()), "ops,", len(set(made)), "different,", golden.stat().st_size, "bytes")
