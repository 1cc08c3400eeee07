#!/usr/bin/env python3
"""Trains a narrow VGG-11 on CIFAR-10 in sgdwalk and in PyTorch, and compares test accuracies over seeds.

usage: compare_accuracy.py DATA [--width W] [--epochs E] [--seeds S] [--python PYTHON]

DATA is the folder with CIFAR-10's binary files. PYTHON (default: the running interpreter) has torch and numpy. Both
sides use batches of 100, learning rate 0.1, weight decay 1e-4, no augmentation, the authors' initialization and
normalization, and 45,000 training images, and report the accuracy on the 10,000 test images with running statistics. The
orders of samples and the initial values differ, so only the spread over seeds tells whether the accuracies agree.
"""
import argparse, json, math, pathlib, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def ours(data, width, epochs, seed, folder):
    experiment = pathlib.Path(folder) / f"seed{seed}.toml"
    experiment.write_text(f"""seed = {seed}
epochs = {epochs}
[model]
plugin = "vgg11"
options = {{ width = {width}, head = [128] }}
[data]
set = "cifar10"
dir = "{data}"
valid = "test"
[optim]
lr = 0.1
""")
    out = pathlib.Path(folder) / f"run{seed}"
    subprocess.run([ROOT / "target/debug/sgdwalk", experiment, "--out", out, "--quiet"], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "epoch"][-1]["valid_accuracy"]


def theirs(data, width, epochs, seed):
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from networks import Vgg11
    files = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    records = np.concatenate([np.fromfile(f"{data}/{name}.bin", np.uint8) for name in files])
    records = records.reshape(-1, 3073)
    mean, std = (np.float32(v).reshape(3, 1, 1) for v in ([.4914, .4822, .4465], [.2023, .1994, .2010]))
    x = torch.from_numpy((records[:, 1:].reshape(-1, 3, 32, 32) / np.float32(255) - mean) / std)
    y = torch.from_numpy(records[:, 0].astype(np.int64))
    torch.manual_seed(seed)
    net = Vgg11(width, [128], 10)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, math.sqrt(2 / (9 * module.out_channels)))
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=1e-4)
    for _ in range(epochs):
        net.train()
        for batch in torch.randperm(45000).split(100):
            sgd.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            sgd.step()
    net.eval()
    with torch.no_grad():
        right = sum((net(x[i:i + 500]).argmax(1) == y[i:i + 500]).sum().item() for i in range(50000, 60000, 500))
    return right / 10000


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("data")
    cli.add_argument("--width", type=float, default=0.25)
    cli.add_argument("--epochs", type=int, default=3)
    cli.add_argument("--seeds", type=int, default=3)
    cli.add_argument("--python", default=sys.executable)
    cli.add_argument("--torch-seed", type=int, help=argparse.SUPPRESS)
    arg = cli.parse_args()
    data = pathlib.Path(arg.data).resolve()
    if arg.torch_seed is not None:
        print(theirs(data, arg.width, arg.epochs, arg.torch_seed))
        return
    subprocess.run(["cargo", "build", "-p", "runner"], check=True, cwd=ROOT)
    a, b = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, arg.seeds + 1):
            a.append(ours(data, arg.width, arg.epochs, seed, folder))
            done = subprocess.run([arg.python, __file__, str(data), "--width", str(arg.width), "--epochs",
                                   str(arg.epochs), "--torch-seed", str(seed)], check=True, capture_output=True, text=True)
            b.append(float(done.stdout))
    for name, values in (("sgdwalk", a), ("PyTorch", b)):
        print(f"{name}: " + ", ".join(f"{100 * v:.2f}%" for v in values)
              + f"; mean {100 * statistics.mean(values):.2f}%, deviation {100 * statistics.stdev(values):.2f}")


if __name__ == "__main__":
    main()
