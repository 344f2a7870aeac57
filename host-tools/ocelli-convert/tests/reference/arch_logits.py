"""Makes arch_logits.json: what torchvision's, timm's and plainly written networks say, with made-up weights.

    PYTHONPATH=WHEELS python3 arch_logits.py > arch_logits.json

WHEELS is a folder in which the wheels timm==1.0.22, huggingface_hub==0.20.3, safetensors==0.4.2 and PyYAML==6.0.1 of
PyPI are unpacked. Debian: apt-get install python3-torch python3-torchvision
"""

import json
import re
import sys

import timm
import torch
import torchvision
import torchvision.models as vision
from reference_models import Cnn, MobileNetV1, SmallResNet, fill, fnv1a, uniform

SEED = 7
CLASSES = 10


def from_timm(name):
    return timm.create_model(name, num_classes=CLASSES)


def shortcut(layers):
    return SmallResNet(layers, shortcut="shortcut", classifier="linear")


def efficientnet_pytorch_names(model):
    """timm's names to those of efficientnet_pytorch: blocks are counted over all stages."""
    stages = [len(stage) for stage in model.blocks]

    def rename(name):
        match = re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.+)", name)
        if not match:
            ends = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
            ends["classifier"] = "_fc"
            module, part = name.split(".")
            return f"{ends[module]}.{part}"
        stage, block, rest = int(match[1]), int(match[2]), match[3]
        index = sum(stages[:stage]) + block
        if stage == 0:
            parts = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
        else:
            parts = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
            parts.update({"conv_pwl": "_project_conv", "bn3": "_bn2"})
        parts.update({"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"})
        module, _, part = rest.rpartition(".")
        return f"_blocks.{index}.{parts[module]}.{part}"

    return rename


def convnext_names(name):
    """timm's names to those of ConvNeXt's authors."""
    name = re.sub(r"^stem\.", "downsample_layers.0.", name)
    name = re.sub(r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name)
    name = name.replace(".blocks.", ".").replace("conv_dw", "dwconv")
    name = name.replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
    return name.replace("head.norm", "norm").replace("head.fc", "head")


def cases():
    """Architecture, naming, input's height and width, model, and what its tensors are called."""

    def case(arch, naming, sides, model, rename=lambda name: name):
        return arch, naming, sides, model, rename

    small, photo, odd = (32, 32), (64, 64), (75, 58)
    yield case("cnn", "plain", small, Cnn())
    yield case("cnn:0.5,layers=13", "plain", (21, 30), Cnn(13, 0.5))
    for layers in (20, 32, 44, 56, 110):
        yield case(f"resnet{layers}", "torchvision", small, SmallResNet(layers))
    yield case("resnet20", "shortcut", small, shortcut(20))
    yield case("resnet56:2", "shortcut", small, SmallResNet(56, 2, shortcut="shortcut", classifier="linear"))
    yield case("resnet18", "torchvision", photo, vision.resnet18(num_classes=CLASSES))
    yield case("resnet34", "torchvision", odd, vision.resnet34(num_classes=CLASSES))
    yield case("resnet50", "torchvision", photo, vision.resnet50(num_classes=CLASSES))
    yield case("mobilenet_v1", "timm", photo, from_timm("mobilenetv1_100"))
    yield case("mobilenet_v1:1.25", "timm", photo, from_timm("mobilenetv1_125"))
    yield case("mobilenet_v1", "plain", photo, MobileNetV1())
    yield case("mobilenet_v1:0.25", "plain", odd, MobileNetV1(0.25))
    yield case("mobilenet_v2", "torchvision", photo, vision.mobilenet_v2(num_classes=CLASSES))
    yield case("mobilenet_v2:0.35", "timm", photo, from_timm("mobilenetv2_035"))
    yield case("mobilenet_v2:1.4", "timm", odd, from_timm("mobilenetv2_140"))
    for size in (0, 1, 2):
        model = getattr(vision, f"efficientnet_b{size}")(num_classes=CLASSES)
        yield case(f"efficientnet_b{size}", "torchvision", photo, model)
    yield case("efficientnet_b0", "timm", odd, from_timm("efficientnet_b0"))
    yield case("efficientnet_b2", "timm", photo, from_timm("efficientnet_b2"))
    yield case("efficientnet_b0:origin=tf", "timm", odd, from_timm("tf_efficientnet_b0"))
    model = from_timm("tf_efficientnet_b1")
    yield case("efficientnet_b1", "efficientnet_pytorch", odd, model, efficientnet_pytorch_names(model))
    for size in (0, 1, 2):
        yield case(f"efficientnet_lite{size}", "timm", odd, from_timm(f"tf_efficientnet_lite{size}"))
    yield case("efficientnet_lite0:origin=torch", "timm", odd, from_timm("efficientnet_lite0"))
    model = from_timm("tf_efficientnet_lite0")
    yield case("efficientnet_lite0", "efficientnet_pytorch", odd, model, efficientnet_pytorch_names(model))
    yield case("convnext_atto", "timm", photo, from_timm("convnext_atto"))
    yield case("convnext_tiny", "torchvision", photo, vision.convnext_tiny(num_classes=CLASSES))
    yield case("convnext_tiny", "timm", odd, from_timm("convnext_tiny"))
    yield case("convnext_atto", "convnext", photo, from_timm("convnext_atto"), convnext_names)


def main():
    torch.set_num_threads(1)
    results = []
    for arch, naming, (h, w), model, rename in cases():
        fill(model, SEED, rename)
        pixels = uniform(SEED ^ fnv1a("input"), h * w * 3, 0.0, 1.0)
        batch = torch.from_numpy(pixels.reshape(1, h, w, 3)).permute(0, 3, 1, 2).contiguous()
        with torch.no_grad():
            logits = model(batch)[0].tolist()
        parameters = sum(each.numel() for each in model.parameters())
        logits = [float(f"{x:.7g}") for x in logits]
        result = {"arch": arch, "naming": naming, "input": [h, w], "parameters": parameters, "logits": logits}
        results.append(result)
        print(arch, naming, max(map(abs, logits)), file=sys.stderr)
    versions = {each.__name__: each.__version__ for each in (torch, torchvision, timm)}
    lines = ",\n".join(map(json.dumps, results))
    print(f'{{"made_by": {json.dumps(versions)}, "seed": {SEED}, "cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
