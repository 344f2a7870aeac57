"""Makes the small weights files in containers/: one state dict in every container that torch writes.

    python3 containers.py

Written with Debian's python3-torch (1.13). A later run differs only in the names of storages, which are addresses.
"""

import collections
import os
import pathlib
import pickle

import torch

OUT = pathlib.Path(__file__).parent / "containers"
OUT.mkdir(exist_ok=True)


def tensors(dtype=torch.float32):
    """Values that every float type holds exactly, one of them through a strided view."""
    grid = torch.arange(12, dtype=torch.float32).reshape(3, 4).to(dtype)
    return collections.OrderedDict(
        [
            ("conv.weight", (grid / 4 - 1).reshape(3, 2, 2, 1)),
            ("conv.bias", grid.t()[1]),
            ("bn.num_batches_tracked", torch.tensor(7)),
        ]
    )


def save(name, value, legacy=False):
    torch.save(value, OUT / name, _use_new_zipfile_serialization=not legacy)


class Runs:
    """Unpickling this the ordinary way would run a command."""

    def __reduce__(self):
        return (os.system, ("touch ocelli-was-here",))


save("zip.pth", tensors())
save("legacy.pth", tensors(), legacy=True)
save("f16.pth", tensors(torch.float16))
save("bf16.pth", tensors(torch.bfloat16), legacy=True)
save("f64.pth", tensors(torch.float64))
save("checkpoint.pth", {"epoch": 3, "state_dict": tensors(), "optimizer": {"step": torch.ones(2)}})
save("parallel.pth", {f"module.{name}": tensor for name, tensor in tensors().items()}, legacy=True)
save("integers.pth", {"conv.weight": torch.arange(4)})
save("nan.pth", {"conv.weight": torch.tensor([0.0, 1.0, float("nan")])})
save("expanded.pth", {"conv.weight": torch.zeros(1).expand(1000000)})
(OUT / "runs.pth").write_bytes(pickle.dumps({"conv.weight": Runs()}, protocol=2))
# What a tensor that lived on a graphics card is marked with.
torch.serialization.register_package(0, lambda storage: "cuda:0", lambda storage, location: None)
save("cuda.pth", tensors(), legacy=True)
