#!/usr/bin/env python3
"""Makes sgd_trace.json: the losses of 50 steps of PyTorch's SGD, for tests/trace.rs.

    python3 sgd_trace.py > sgd_trace.json

Everything around the optimizer (made-up samples, held-out split, shuffling, centring and scaling) is written here
a second time, from the documentation of ocelli-learn and tests/support/mod.rs. In double precision.
"""
import json

import torch

torch.set_default_dtype(torch.float64)

CONFIG = dict(
    samples=60, features=24, classes=5, pattern_seed=2024, shuffle_seed=42, batch=8, held_out_every=4,
    learning_rate=0.02, momentum=0.9, l2=0.01, steps=50,
)
MEAN_SQUARED_LENGTH = 64.0


def pattern(count, features, classes, seed):
    state, embeddings, labels = seed, [], []
    for sample in range(count):
        label = sample % classes
        row = []
        for feature in range(features):
            state = (state * 1664525 + 1013904223) % 2**32
            row.append((state >> 25) - 64 + (40 if feature % classes == label else 0))
        embeddings.append(row)
        labels.append(label)
    return embeddings, labels


def split64(seed):
    mask = 2**64 - 1
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def shuffle(order, random):
    for i in range(len(order) - 1, -1, -1):
        j = ((next(random) >> 32) * (i + 1)) >> 32
        order[i], order[j] = order[j], order[i]


def main():
    c = CONFIG
    codes, labels = pattern(c["samples"], c["features"], c["classes"], c["pattern_seed"])
    order, held_out = [], []
    for label in range(c["classes"]):
        members = [i for i, l in enumerate(labels) if l == label]
        for nth, index in enumerate(members, 1):
            (held_out if nth % c["held_out_every"] == 0 else order).append(index)

    x = torch.tensor(codes, dtype=torch.float64)
    y = torch.tensor(labels)
    x = x - x[order].mean(0)
    x = x * (MEAN_SQUARED_LENGTH / (x[order] ** 2).sum(1).mean()).sqrt()

    head = torch.nn.Linear(c["features"], c["classes"])
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.SGD(
        [{"params": [head.weight], "weight_decay": c["l2"]}, {"params": [head.bias], "weight_decay": 0.0}],
        lr=c["learning_rate"], momentum=c["momentum"],
    )
    random = split64(c["shuffle_seed"])
    losses, held_out_losses = [], []
    while len(losses) < c["steps"]:
        shuffle(order, random)
        for start in range(0, len(order), c["batch"]):
            batch = order[start:start + c["batch"]]
            loss = torch.nn.functional.cross_entropy(head(x[batch]), y[batch])
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if len(losses) == c["steps"]:
                break
        with torch.no_grad():
            held_out_losses.append(torch.nn.functional.cross_entropy(head(x[held_out]), y[held_out]).item())
    print(json.dumps(dict(made_by=f"sgd_trace.py, torch {torch.__version__}", **CONFIG,
                          losses=losses, held_out_losses=held_out_losses), indent=1))


if __name__ == "__main__":
    main()
