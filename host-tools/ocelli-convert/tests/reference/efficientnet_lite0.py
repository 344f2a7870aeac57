"""Makes efficientnet_lite0.json: what timm's network with the published weights says about photos.

    PYTHONPATH=WHEELS python3 efficientnet_lite0.py ASSETS > efficientnet_lite0.json

ASSETS is the folder that `cargo xtask fetch` fills (target/assets); WHEELS is as for arch_logits.py. For each photo of
`foolbox`: the class put first, its logit and the second largest. For a pattern of integers: the first logits.
"""

import hashlib
import json
import pathlib
import sys

import numpy
import PIL
import PIL.Image
import timm
import torch
import torchvision
from arch_logits import efficientnet_pytorch_names
from torchvision.transforms import CenterCrop, InterpolationMode, Resize


def main():
    torch.set_num_threads(1)
    assets = pathlib.Path(sys.argv[1])
    path = assets / "efficientnet-lite0-57934424.pth"
    weights = torch.load(path, map_location="cpu")
    model = timm.create_model("tf_efficientnet_lite0")
    rename = efficientnet_pytorch_names(model)
    model.load_state_dict({name: weights[rename(name)] for name in model.state_dict()})
    model.eval()

    def logits(pixels):
        batch = (torch.from_numpy(pixels).float() - 127) / 128
        with torch.no_grad():
            return model(batch.permute(2, 0, 1).unsqueeze(0).contiguous())[0]

    prepare = torchvision.transforms.Compose([Resize(256, InterpolationMode.BICUBIC), CenterCrop(224)])
    photos = {}
    for photo in sorted((assets / "foolbox").iterdir()):
        pixels = numpy.array(prepare(PIL.Image.open(photo).convert("RGB")))
        largest = logits(pixels).topk(2)
        photos[photo.name] = [int(largest.indices[0]), *(round(float(x), 4) for x in largest.values)]
    y, x, c = numpy.meshgrid(numpy.arange(224), numpy.arange(224), numpy.arange(3), indexing="ij")
    weave = (((x // 8) * (y // 8) * 37 + 59 * c + x * y // 16) % 256).astype(numpy.uint8)
    versions = {each.__name__: each.__version__ for each in (torch, torchvision, timm, PIL)}
    result = {"made_by": versions, "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    result["weave"] = [float(f"{x:.7g}") for x in logits(weave)[:50].tolist()]
    result["photos"] = photos
    print(json.dumps(result))


main()
