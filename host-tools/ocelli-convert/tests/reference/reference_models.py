"""Networks that neither torchvision nor timm has, written down plainly, and weights that anybody can make up again.

The names of modules are those that the architectures of `ocelli arch list` know. Random weights are a function of the
tensor's name, its shape and a seed, as `Arch::random_weights` has it.
"""

import numpy
import torch
from torch import nn

GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def uniform(seed, count, centre, reach):
    """SplitMix64 (Steele, Lea and Flood 2014), 24 bits of each, evenly from centre - reach to centre + reach."""
    with numpy.errstate(over="ignore"):
        z = numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(GAMMA) + numpy.uint64(seed & MASK)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    unit = (z >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(1 << 24)
    one, two = numpy.float32(1), numpy.float32(2)
    return numpy.float32(centre) + numpy.float32(reach) * (two * unit - one)


def fill(model, seed, rename=lambda name: name):
    """Gives every tensor of the model its made-up values; `rename` says by which name they are made."""
    norms = [name for name, module in model.named_modules() if "norm" in type(module).__name__.lower()]
    norms += [name for name, module in model.named_modules() if hasattr(module, "running_mean")]
    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        module, _, part = name.rpartition(".")
        shape = tuple(tensor.shape)
        if part == "running_mean":
            centre, reach = 0.0, 0.5
        elif part == "running_var" or part in ("gamma", "layer_scale"):
            centre, reach = 1.0, 0.5
        elif module in norms:
            centre, reach = (1.0, 0.5) if part == "weight" else (0.0, 0.5)
        elif part == "bias":
            centre, reach = 0.0, 0.1
        else:
            fan_in = int(numpy.prod(shape[1:]))
            centre, reach = 0.0, numpy.sqrt(numpy.float32(6) / numpy.float32(fan_in))
        values = uniform(seed ^ fnv1a(rename(name)), int(numpy.prod(shape)), centre, reach)
        state[name] = torch.from_numpy(values.reshape(shape))
    model.load_state_dict(state)
    return model.eval()


def scaled_channels(channels, width):
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def sequence(**modules):
    result = nn.Sequential()
    for name, module in modules.items():
        result.add_module(name.strip("_"), module)
    return result


class Cnn(nn.Module):
    """Plain 3x3 convolutions in three stages."""

    def __init__(self, layers=10, width=1.0, classes=10):
        super().__init__()
        channels = 3
        for stage, wanted in enumerate((32, 64, 128), 1):
            convolutions = nn.Sequential()
            for index in range(layers // 3):
                out = scaled_channels(wanted, width)
                convolution = nn.Conv2d(channels, out, 3, padding=1, bias=False)
                part = sequence(conv=convolution, bn=nn.BatchNorm2d(out), relu=nn.ReLU())
                convolutions.add_module(str(index), part)
                channels = out
            self.add_module(f"stage{stage}", convolutions)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.stage1(x), 2)
        x = nn.functional.max_pool2d(self.stage2(x), 2)
        return self.fc(self.stage3(x).mean((2, 3)))


class BasicBlock(nn.Module):
    def __init__(self, channels, out, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.past = lambda x: x
        if stride != 1 or channels != out:
            past = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            self.add_module(shortcut, past)
            self.past = past.forward

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.past(x))


class SmallResNet(nn.Module):
    """He et al. 2015, section 4.2, with convolutions as shortcuts; 6n + 2 layers."""

    def __init__(self, layers, width=1.0, classes=10, shortcut="downsample", classifier="fc"):
        super().__init__()
        channels = [scaled_channels(each, width) for each in (16, 32, 64)]
        self.conv1 = nn.Conv2d(3, channels[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        before = channels[0]
        for stage, out in enumerate(channels, 1):
            blocks = []
            for index in range((layers - 2) // 6):
                stride = 2 if stage > 1 and index == 0 else 1
                blocks.append(BasicBlock(before, out, stride, shortcut))
                before = out
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.add_module(classifier, nn.Linear(before, classes))
        self.last = [self._modules[classifier]]

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.last[0](x.mean((2, 3)))


class MobileNetV1(nn.Module):
    """Howard et al. 2017, table 1, with ReLU."""

    def __init__(self, width=1.0, classes=10):
        super().__init__()
        strides = {2: 2, 4: 2, 6: 2, 12: 2}
        channels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
        channels = [scaled_channels(each, width) for each in channels]

        def norm(out):
            return [nn.BatchNorm2d(out), nn.ReLU()]

        layers = [nn.Sequential(nn.Conv2d(3, channels[0], 3, 2, 1, bias=False), *norm(channels[0]))]
        for at in range(1, len(channels)):
            before, out = channels[at - 1], channels[at]
            depthwise = nn.Conv2d(before, before, 3, strides.get(at, 1), 1, groups=before, bias=False)
            pointwise = nn.Conv2d(before, out, 1, bias=False)
            layers.append(nn.Sequential(depthwise, *norm(before), pointwise, *norm(out)))
        self.model = nn.Sequential(*layers)
        self.fc = nn.Linear(channels[-1], classes)

    def forward(self, x):
        return self.fc(self.model(x).mean((2, 3)))
