"""Makes qdq.json: what ONNX Runtime makes of qdq.onnx, the file that `emit_onnx` writes of a network of every op.

    pip install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
    cargo test -p ocelli-convert --test emit_onnx
    cp TARGET/tmp/qdq.onnx tests/reference
    python tests/reference/qdq.py TARGET/tmp/qdq_tensors.json

The test writes both files below cargo's target folder; the second has the codes of every tensor on the device. It
takes the scales from the qdq.onnx that is there; for others, it has to be removed first.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

HERE = pathlib.Path(__file__).parent
H, W, C = 12, 11, 3


def image(index):
    """The input that tests/emit_onnx.rs makes."""
    at = np.arange(H * W * C)
    period = 7 + 5 * index
    values = (at * (2 * index + 3) % period).astype(np.float32) / np.float32(period) * np.float32(4) - np.float32(2)
    return values.reshape(1, H, W, C).transpose(0, 3, 1, 2)


def session(model, joined):
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if joined else level.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def with_outputs(model, names):
    model = onnx.ModelProto.FromString(model.SerializeToString())
    del model.graph.output[:]
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, None))
    return model


def with_given(model, names):
    """Every DequantizeLinear of what the network computes reads an input of its own instead."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in names:
            given = onnx.helper.make_tensor_value_info(node.input[0] + "/given", onnx.TensorProto.INT8, None)
            model.graph.input.append(given)
            node.input[0] = given.name
    return model


model = onnx.load(HERE / "qdq.onnx")
onnx.checker.check_model(model, full_check=True)
names = [node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
made = names[1:]
device = json.loads(pathlib.Path(sys.argv[1]).read_text())

golden = {}
for kind, joined in (("plain", False), ("joined", True)):
    runs = session(with_outputs(model, ["logits/codes"]), joined)
    codes = [runs.run(None, {"input": image(at)})[0] for at in range(len(device))]
    golden[kind] = [one.ravel().tolist() for one in codes]

shapes = session(with_outputs(model, names), False)
each = session(with_given(with_outputs(model, names), names), False)
golden["each"] = []
for at in range(2):
    first, *like = shapes.run(None, {"input": image(at)})
    given = {"input": image(at), "input/codes/given": first}
    for name, codes, like in zip(made, device[at], like):
        codes = np.array(codes, np.int8)
        if like.ndim == 4:
            _, c, h, w = like.shape
            codes = codes.reshape(1, h, w, c).transpose(0, 3, 1, 2)
        given[name + "/given"] = codes.reshape(like.shape)
    codes = each.run(made, given)
    turned = [one.transpose(0, 2, 3, 1) if one.ndim == 4 else one for one in codes]
    golden["each"].append([one.ravel().tolist() for one in turned])
(HERE / "qdq.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
