#!/usr/bin/env python3
"""Loads a run's checkpoint in PyTorch and compares the network's loss there with the run's own record.

usage: open_checkpoint.py RUN DATA        Needs torch, numpy and safetensors (python3 -m pip install ...).

RUN is a run folder of the default mlp on MNIST, or of vgg11, resnet56 or wresnet (default options) on CIFAR-10;
DATA is the folder with its data. Prints the validation loss computed by PyTorch, with batch norm on running
statistics, and the run's.
"""
import gzip, json, pathlib, sys
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from networks import Vgg11, WideResNet, mlp, resnet


def validation(info, data):
    n = info["data"]["valid"]
    if info["data"]["set"] == "mnist":
        read = lambda name, skip: np.frombuffer(gzip.open(data / name).read(), np.uint8)[skip:]
        x = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[-n:]
        y = read("train-labels-idx1-ubyte.gz", 8)[-n:]
        return torch.from_numpy(x / np.float32(255) - np.float32(0.5)), torch.from_numpy(y.astype(np.int64))
    records = np.concatenate([np.fromfile(data / f"data_batch_{i}.bin", np.uint8) for i in range(1, 6)])
    records = records.reshape(-1, 3073)[-n:]
    mean, std = (np.float32(v).reshape(3, 1, 1) for v in ([.4914, .4822, .4465], [.2023, .1994, .2010]))
    x = (records[:, 1:].reshape(-1, 3, 32, 32) / np.float32(255) - mean) / std
    return torch.from_numpy(x), torch.from_numpy(records[:, 0].astype(np.int64))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    run, data = map(pathlib.Path, sys.argv[1:])
    info = json.loads((run / "run.json").read_text())
    net = {"mlp": lambda: mlp([500, 350], 784, 10), "vgg11": lambda: Vgg11(1, [512, 512], 10),
           "resnet56": lambda: resnet(56, 16, 10), "wresnet": lambda: WideResNet(16, 4, 10)}[info["plugin"]["name"]]()
    missing, unexpected = net.load_state_dict(load_file(run / "checkpoints/final.safetensors"), strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        sys.exit(f"names differ: missing {missing}, unexpected {unexpected}")
    net.eval()
    x, y = validation(info, data)
    with torch.no_grad():
        loss = sum(F.cross_entropy(net(x[i:i + 500]), y[i:i + 500], reduction="sum").item()
                   for i in range(0, len(x), 500)) / len(x)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    own = [row for row in rows if row["kind"] == "epoch"][-1]["valid_loss"]
    print(f"{info['plugin']['name']}: validation loss {loss:.8f} in PyTorch, {own:.8f} in sgdwalk, "
          f"relative difference {abs(loss / own - 1):.1e}")


if __name__ == "__main__":
    main()
