"""Makes onnxruntime_int8.json: how well networks survive ONNX Runtime's static int8 quantization, beside which
`cargo xtask quality` puts ours.

Two steps, because PyTorch and ONNX Runtime may want different versions of NumPy:

    PYTHONPATH=WHEELS python3 onnxruntime_int8.py export ASSETS DIR [NAME...]
        PyTorch 1.13, torchvision 0.14 and Pillow 9.4 (Debian 12: apt-get install python3-torch python3-torchvision);
        WHEELS has timm 1.0.22 unpacked, as for host-tools/ocelli-convert/tests/reference/arch_logits.py
    python3 onnxruntime_int8.py quantize DIR [NAME...] > onnxruntime_int8.json
        pip install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 pillow==13.0.0

ASSETS is the folder that `cargo xtask fetch` fills (target/assets). `export` writes each network as DIR/NAME/float.onnx and
the photos of tests/data/photo_split.txt, cut to its size, as DIR/NAME/{calibrate,test}/*.png. `quantize` takes ONNX Runtime's
defaults (QDQ, int8, min-max) with a scale per weight channel. `cargo xtask quality DIR` quantizes the same files with the
same pixels. MobileNetV2 and EfficientNet-Lite0 have their published weights. The others' are made up from a seed, with the
batch-norm statistics of the calibration photos: such a network knows nothing, but its numbers are of the usual sizes.
"""

import json
import math
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEED = 7
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
LITE = ([127 / 255] * 3, [128 / 255] * 3)

# Side, photos that calibrate and that test at most, mean and std, and how `ocelli convert` is told of the latter.
ALL = 1000
REAL = {"side": 224, "photos": ALL}
HEAVY = {"side": 128, "photos": 32}
SMALL = {"side": 32, "photos": ALL}
NETWORKS = {
    "mobilenet_v2": {**REAL, "weights": "mobilenet_v2-b0353104.pth"},
    "efficientnet_lite0": {**REAL, "weights": "efficientnet-lite0-57934424.pth"},
    "cnn": SMALL,
    "resnet20": SMALL,
    "mobilenet_v1": HEAVY,
    "resnet18": HEAVY,
    "efficientnet_b0": HEAVY,
    "convnext_atto": HEAVY,
    "resnet50": HEAVY,
}


def chosen(names):
    return {name: about for name, about in NETWORKS.items() if not names or name in names}


def is_lite(name):
    return name == "efficientnet_lite0"


def photos(part, most):
    """Of a part of the split, evenly over its groups."""
    lines = (ROOT / "tests/data/photo_split.txt").read_text().splitlines()
    paths = [path for found, path in map(str.split, lines) if found == part]
    step = max(1, len(paths) / most)
    return [paths[int(at * step)] for at in range(min(most, len(paths)))]


def normalized(pixels, name):
    import numpy

    mean, std = (numpy.array(each, numpy.float32) for each in (LITE if is_lite(name) else IMAGENET))
    values = (numpy.asarray(pixels, numpy.float32) / numpy.float32(255) - mean) / std
    return numpy.ascontiguousarray(values.transpose(2, 0, 1)[None])


def read(folder, name):
    """The pictures of a folder as the network's inputs."""
    import PIL.Image

    return [normalized(PIL.Image.open(path), name) for path in sorted(folder.iterdir())]


def export(assets, folder, names):
    import PIL.Image
    import timm
    import torch
    import torchvision
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    sys.path.append(str(ROOT / "host-tools/ocelli-convert/tests/reference"))
    from arch_logits import efficientnet_pytorch_names
    from reference_models import Cnn, MobileNetV1, SmallResNet

    def cut(path, side, name):
        picture = PIL.Image.open(path).convert("RGBA")
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture).convert("RGB")
        filter = InterpolationMode.BICUBIC if is_lite(name) else InterpolationMode.BILINEAR
        return CenterCrop(side)(Resize(side if side == 32 else side * 8 // 7, filter)(picture))

    def model_of(name, weights):
        if name == "efficientnet_lite0":
            model = timm.create_model("tf_efficientnet_lite0")
            rename = efficientnet_pytorch_names(model)
            model.load_state_dict({each: weights[rename(each)] for each in model.state_dict()})
            return model
        if name == "mobilenet_v2":
            model = torchvision.models.mobilenet_v2()
            model.load_state_dict(weights)
            return model
        plain = {"cnn": Cnn, "resnet20": lambda: SmallResNet(20), "mobilenet_v1": lambda: MobileNetV1(classes=1000)}
        if name in plain:
            return plain[name]()
        if name == "convnext_atto":
            return timm.create_model(name)
        return getattr(torchvision.models, name)(weights=None)

    def make_up(model, inputs):
        for module in model.modules():
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                torch.nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    torch.nn.init.uniform_(module.bias, -0.1, 0.1)
            if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
                module.train()
            if getattr(module, "gamma", None) is not None:
                torch.nn.init.uniform_(module.gamma, -0.5, 0.5)
        with torch.no_grad():
            model(torch.from_numpy(inputs))
        return model.eval()

    import numpy

    torch.set_num_threads(1)
    for name, about in chosen(names).items():
        for part in ("calibrate", "test"):
            to = folder / name / part
            to.mkdir(parents=True, exist_ok=True)
            for path in photos(part, about["photos"]):
                picture = cut(assets / path, about["side"], name)
                picture.save(to / (path.replace("/", "-").rpartition(".")[0] + ".png"))
        torch.manual_seed(SEED)
        weights = about.get("weights") and torch.load(assets / about["weights"], map_location="cpu")
        model = model_of(name, weights).eval()
        if not weights:
            make_up(model, numpy.concatenate(read(folder / name / "calibrate", name)))
        side = about["side"]
        torch.onnx.export(model, torch.zeros(1, 3, side, side), str(folder / name / "float.onnx"), opset_version=17,
                          input_names=["image"], output_names=["logits"])
        print(name, file=sys.stderr)


def quantize(folder, names):
    import numpy
    import onnx
    import onnxruntime
    from onnxruntime import quantization

    onnxruntime.set_default_logger_severity(3)

    class Pictures(quantization.CalibrationDataReader):
        def __init__(self, inputs):
            self.left = iter(inputs)

        def get_next(self):
            values = next(self.left, None)
            return None if values is None else {"image": values}

    def logits(path, inputs):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # What the file says: kernels for int8 may saturate on some processors.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(path), options)
        return numpy.stack([session.run(None, {"image": each})[0][0] for each in inputs]).astype(numpy.float64)

    lines = []
    for name, about in chosen(names).items():
        paths = [folder / name / f"{each}.onnx" for each in ("float", "prepared", "int8")]
        calibrate, test = (read(folder / name / part, name) for part in ("calibrate", "test"))
        quantization.shape_inference.quant_pre_process(str(paths[0]), str(paths[1]), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(paths[1]), str(paths[2]), Pictures(calibrate), quant_format=quantization.QuantFormat.QDQ,
            per_channel=True, activation_type=quantization.QuantType.QInt8, weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax)
        exact, rounded = logits(paths[0], test), logits(paths[2], test)
        noise = ((exact - rounded) ** 2).sum()
        result = {"name": name, "weights": about.get("weights"), "side": about["side"],
                  "normalize": "127/128" if is_lite(name) else "imagenet",
                  "calibration_images": len(calibrate), "images": len(test),
                  "agreeing": int((exact.argmax(1) == rounded.argmax(1)).sum()),
                  "output_sqnr_db": round(10 * math.log10((exact**2).sum() / noise), 3)}
        lines.append(json.dumps(result))
        print(lines[-1], file=sys.stderr)
    versions = json.dumps({each.__name__: each.__version__ for each in (onnxruntime, onnx, numpy)})
    print(f'{{"made_by": {versions}, "networks": [\n' + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:])
    else:
        quantize(pathlib.Path(sys.argv[2]), sys.argv[3:])
