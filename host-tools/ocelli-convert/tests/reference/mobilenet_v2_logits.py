"""Makes mobilenet_v2_logits.json: what torchvision says about three inputs, and what it makes of pictures.

    python3 mobilenet_v2_logits.py ASSETS > mobilenet_v2_logits.json

ASSETS is the folder that `cargo xtask fetch` fills (target/assets). The versions used are written into the file.
Debian: apt-get install python3-torch python3-torchvision python3-pil
"""

import hashlib
import json
import pathlib
import sys

import numpy
import PIL
import PIL.Image
import torch
import torchvision
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def stripes(h, w):
    """Integers only, so that the same picture can be made anywhere."""
    y, x, c = numpy.meshgrid(numpy.arange(h), numpy.arange(w), numpy.arange(3), indexing="ij")
    return ((7 * y + 13 * x + 101 * c) % 256).astype(numpy.uint8)


def weave(h, w):
    y, x, c = numpy.meshgrid(numpy.arange(h), numpy.arange(w), numpy.arange(3), indexing="ij")
    return (((x // 8) * (y // 8) * 37 + 59 * c + x * y // 16) % 256).astype(numpy.uint8)


def logits(model, pixels):
    batch = torch.from_numpy(pixels).float().div(255)
    batch = ((batch - MEAN) / STD).permute(2, 0, 1).unsqueeze(0).contiguous()
    with torch.no_grad():
        return [float(f"{x:.9g}") for x in model(batch)[0].tolist()]


def probe(image, resize, crop, interpolation, step):
    """Every step-th pixel of every step-th row."""
    image = CenterCrop(crop)(Resize(resize, interpolation)(image))
    pixels = numpy.asarray(image)[::step, ::step]
    return {
        "resize_shorter": resize,
        "crop": [crop, crop],
        "filter": interpolation.value,
        "step": step,
        "pixels": pixels.flatten().tolist(),
    }


def main():
    assets = pathlib.Path(sys.argv[1])
    weights = assets / "mobilenet_v2-b0353104.pth"
    photo = assets / "photos" / "chelsea.png"
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.eval()
    torch.set_num_threads(1)
    chelsea = PIL.Image.open(photo).convert("RGB")
    small = PIL.Image.fromarray(weave(28, 28))
    json.dump(
        {
            "made_by": {
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "pillow": PIL.__version__,
                "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
                "chelsea_sha256": hashlib.sha256(photo.read_bytes()).hexdigest(),
            },
            "logits": {
                "stripes": logits(model, stripes(224, 224)),
                "weave": logits(model, weave(224, 224)),
                "chelsea": logits(model, numpy.array(CenterCrop(224)(chelsea))),
            },
            "resized": {
                "chelsea_shrunk": probe(chelsea, 256, 224, InterpolationMode.BILINEAR, 16),
                "chelsea_cubic": probe(chelsea, 256, 224, InterpolationMode.BICUBIC, 16),
                "weave_grown": probe(small, 109, 96, InterpolationMode.BILINEAR, 8),
            },
        },
        sys.stdout,
    )
    print()


main()
