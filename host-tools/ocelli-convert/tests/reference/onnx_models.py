"""Networks exported to ONNX, small ones for the tests and the real ones to try by hand, with ONNX Runtime's outputs.

Three steps, because PyTorch and ONNX Runtime may want different versions of NumPy:

    python3 onnx_models.py export DIR PHOTO [--full]
                                                  PyTorch 1.13 and torchvision 0.14 (Debian 12's python3-torchvision)
    python3 onnx_models.py derive DIR             onnx 1.23.2, onnxruntime 1.32.0: other operator sets, QDQ forms
    python3 onnx_models.py run DIR OUT.json       ONNX Runtime's output for the input of `made_input`

Without `--full` the networks have the architectures' blocks but few channels, so that files stay below 100 KB.
Weights are seeded; batch norms have the statistics of crops of a photo (chelsea.png of scikit-image), so that numbers
stay of a size and floats of all programs agree.
"""

import json
import math
import os
import sys


def made_input(count):
    """The same numbers as the tests make: from -1 to 1 and back, slowly, as pixels change in pictures."""
    return [abs(i * 5 % 512 - 256) / 128.0 - 1.0 for i in range(count)]


def export(folder, photo, full):
    import torch
    import torchvision
    from PIL import Image
    from torch import nn
    from torchvision.models import convnext, efficientnet, mobilenetv2, mobilenetv3, resnet

    print("torch", torch.__version__, "torchvision", torchvision.__version__)

    class Same(nn.Module):
        """A convolution padded as TensorFlow does it, by sizes that are computed when it runs."""

        def __init__(self, into, out, side, stride):
            super().__init__()
            self.conv = nn.Conv2d(into, out, side, stride, bias=False)

        def forward(self, x):
            h, w = x.shape[-2:]
            (side, _), (stride, _) = self.conv.kernel_size, self.conv.stride
            down = max((math.ceil(h / stride) - 1) * stride + side - h, 0)
            right = max((math.ceil(w / stride) - 1) * stride + side - w, 0)
            x = nn.functional.pad(x, [right // 2, right - right // 2, down // 2, down - down // 2])
            return self.conv(x)

    class Plain(nn.Module):
        """Odd spellings: PReLU, ELU, leaky ReLU, concatenation, a mean of two axes, a view with the batch's size."""

        def __init__(self):
            super().__init__()
            self.stem = Same(3, 8, 3, 2)
            self.left = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.PReLU(4), nn.MaxPool2d(3, 2, ceil_mode=True))
            self.right = nn.Sequential(nn.Conv2d(8, 6, 3, 1, 2, dilation=2), nn.ELU(), nn.AvgPool2d(2))
            self.depthwise = nn.Sequential(nn.Conv2d(10, 20, 3, padding=1, groups=10), nn.LeakyReLU(0.1))
            self.gate = nn.Sequential(nn.Conv2d(20, 20, 1), nn.Hardsigmoid())
            self.head = nn.Linear(20 * 4 * 4, 10)

        def forward(self, x):
            x = nn.functional.hardtanh(self.stem(x), -0.7, 1.3)
            x = torch.cat([self.left(x), self.right(x)], 1)
            x = self.depthwise(x)
            x = x * self.gate(x.mean((2, 3), keepdim=True))
            x = nn.functional.avg_pool2d(x, 3, 2, 1)
            x = 2 * torch.tanh(x) - 0.5
            return self.head(x.view(x.size(0), -1)).softmax(1)

    def head(*layers):
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def with_logits(body, channels):
        return nn.Sequential(body, nn.Dropout(0.2), nn.Linear(channels, 10))

    def small():
        inverted = mobilenetv2.InvertedResidual
        yield "mobilenet_v2", 11, with_logits(head(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
            inverted(8, 8, 1, 1), inverted(8, 12, 2, 6), inverted(12, 12, 1, 6),
            nn.Conv2d(12, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU6()), 64)
        yield "resnet18", 13, with_logits(head(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            resnet.BasicBlock(8, 8),
            resnet.BasicBlock(8, 16, 2, nn.Sequential(resnet.conv1x1(8, 16, 2), nn.BatchNorm2d(16)))), 16)
        yield "resnet50", 12, with_logits(head(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            resnet.Bottleneck(8, 8, 1, nn.Sequential(resnet.conv1x1(8, 32), nn.BatchNorm2d(32))),
            resnet.Bottleneck(32, 8)), 32)
        config = efficientnet.MBConvConfig
        blocks = [config(1, 3, 1, 16, 8, 1), config(6, 5, 2, 8, 12, 2)]
        yield "efficientnet_b0", 14, efficientnet.EfficientNet(blocks, 0.2, num_classes=10, last_channel=64)
        config = mobilenetv3.InvertedResidualConfig
        blocks = [config(8, 3, 16, 8, True, "RE", 2, 1, 1), config(8, 5, 24, 12, True, "HS", 2, 1, 1)]
        yield "mobilenet_v3", 15, mobilenetv3.MobileNetV3(blocks, 64, num_classes=10)
        config = convnext.CNBlockConfig
        blocks = [config(8, 16, 2), config(16, None, 1)]
        for name, opset in [("convnext_spelled_out", 16), ("convnext", 17)]:
            yield name, opset, convnext.ConvNeXt(blocks, num_classes=10)
        yield "plain", 11, Plain()

    def real():
        models = torchvision.models
        for name, opset in [("mobilenet_v2", 11), ("resnet18", 13), ("resnet50", 12), ("efficientnet_b0", 14),
                            ("mobilenet_v3_large", 15), ("convnext_tiny", 16), ("mnasnet1_0", 13),
                            ("squeezenet1_1", 13), ("densenet121", 13), ("googlenet", 13)]:
            options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
            yield name, opset, getattr(models, name)(weights=None, **options)

    side = 96 if full else 32
    pixels = torchvision.transforms.functional.to_tensor(Image.open(photo).convert("RGB"))
    pixels = torchvision.transforms.functional.normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    crops = torch.stack([pixels[:, at:at + side, 2 * at:2 * at + side] for at in range(0, 177, 8)])
    for name, opset, model in real() if full else small():
        torch.manual_seed(0)
        model.eval()
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.uniform_(module.bias, -0.1, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
                module.train()
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.2, 0.2)
            if isinstance(module, nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.2, 0.2)
            if hasattr(module, "layer_scale"):
                nn.init.uniform_(module.layer_scale, -0.5, 0.5)
        with torch.no_grad():
            model(crops)
        model.eval()
        # Every other one as exporters leave it at worst: no constants folded, batch norms apart, an open batch.
        raw = opset in (11, 13, 15)
        torch.onnx.export(
            model, torch.zeros(1, 3, side, side), os.path.join(folder, name + ".onnx"), opset_version=opset,
            input_names=["image"], output_names=["logits"], do_constant_folding=not raw,
            training=torch.onnx.TrainingMode.PRESERVE if raw else torch.onnx.TrainingMode.EVAL,
            dynamic_axes={"image": {0: "batch"}} if raw else None)


def derive(folder):
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper, version_converter
    from onnxruntime import quantization

    print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)

    def path(name):
        return os.path.join(folder, name + ".onnx")

    for name, opset in [("resnet18", 20), ("mobilenet_v3", 22), ("convnext", 21)]:
        model = version_converter.convert_version(onnx.load(path(name)), opset)
        onnx.save(model, path(f"{name}_opset{opset}"))

    # Weights of half precision behind casts, with the data in another file.
    model = onnx.load(path("mobilenet_v2"))
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(numpy.float16), tensor.name + ".half")
            model.graph.node.insert(0, helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(half)
    onnx.save(model, path("mobilenet_v2_half"), save_as_external_data=True, location="mobilenet_v2_half.bin",
              size_threshold=64)

    # Rows, columns, channels at the border, as converters from TensorFlow write it.
    model = onnx.load(path("resnet18"))
    graph = model.graph
    shape = [dim.dim_value or 1 for dim in graph.input[0].type.tensor_type.shape.dim]
    graph.node.insert(0, helper.make_node("Transpose", ["nhwc"], ["image"], perm=[0, 3, 1, 2]))
    graph.input.pop()
    graph.input.append(helper.make_tensor_value_info("nhwc", TensorProto.FLOAT, [1, *shape[2:], shape[1]]))
    onnx.save(model, path("resnet18_nhwc"))

    class Pictures(quantization.CalibrationDataReader):
        def __init__(self):
            shape = (1, 3, 32, 32)
            values = numpy.array(made_input(3 * 32 * 32), numpy.float32).reshape(shape)
            self.left = [{"image": values * scale} for scale in (1.0, 0.5, -0.8)]

        def get_next(self):
            return self.left.pop() if self.left else None

    for name, kind in [("resnet18", "uint8"), ("mobilenet_v2", "int8")]:
        folded = path("folded")
        onnx.save(version_converter.convert_version(onnx.load(path(name)), 17), folded)
        quantization.shape_inference.quant_pre_process(folded, folded, skip_symbolic_shape=True)
        quantization.quantize_static(
            folded, path(f"{name}_qdq_{kind}"), Pictures(), per_channel=True,
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=getattr(quantization.QuantType, "QUInt8" if kind == "uint8" else "QInt8"),
            weight_type=quantization.QuantType.QInt8)
        os.remove(folded)


def run(folder, out):
    import numpy
    import onnxruntime

    results = {}
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".onnx"):
            continue
        options = onnxruntime.SessionOptions()
        # As the file says, not as it can be rewritten.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(os.path.join(folder, file), options)
        entry = session.get_inputs()[0]
        shape = [side if isinstance(side, int) else 1 for side in entry.shape]
        values = numpy.array(made_input(math.prod(shape)), numpy.float32).reshape(shape)
        logits = session.run(None, {entry.name: values})[0]
        results[file] = [float(f"{value:.7g}") for value in logits.flatten()]
    with open(out, "w") as to:
        versions = f"onnxruntime {onnxruntime.__version__}"
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(logits)}" for name, logits in results.items())
        to.write(f'{{"made_by": "{versions}", "logits": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(sys.argv[2], sys.argv[3], "--full" in sys.argv)
    elif sys.argv[1] == "derive":
        derive(sys.argv[2])
    else:
        run(sys.argv[2], sys.argv[3])
