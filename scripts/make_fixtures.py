#!/usr/bin/env python3
"""Makes tests/fixtures/mlp.json: losses and gradients of small MLPs, computed by PyTorch in float64.

usage: make_fixtures.py [OUT]       Needs torch (python3 -m pip install torch).

Parameters, running statistics and inputs are float32 numbers; PyTorch computes with them in float64, so that the
fixtures have no rounding error of their own. There is one case per nonlinearity, batch-norm mode and loss.
"""
import json, pathlib, sys
import torch, torch.nn as nn, torch.nn.functional as F

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU, "silu": nn.SiLU,
               "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
INPUT, WIDTHS, CLASSES, BATCH = [1, 3, 4], [7, 5], 3, 6


def mlp(activation, batch_norm):
    layers, size = [nn.Flatten()], INPUT[0] * INPUT[1] * INPUT[2]
    for width in WIDTHS:
        layers.append(nn.Linear(size, width))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(ACTIVATIONS[activation]())
        size = width
    return nn.Sequential(*layers, nn.Linear(size, CLASSES))


def flat(tensor):
    return tensor.detach().flatten().tolist()


def case(activation, batch_norm, mode, loss, x, y):
    net = mlp(activation, batch_norm)
    with torch.no_grad():
        for tensor in list(net.parameters()) + [b for b in net.buffers() if b.is_floating_point()]:
            tensor.add_(0.3 * torch.rand_like(tensor))
    start = {name: flat(t) for name, t in net.state_dict().items() if t.is_floating_point()}
    net.double().train(mode == "batch")
    z = net(x.double())
    if loss == "cross_entropy":
        losses = F.cross_entropy(z, y, reduction="none")
    else:
        losses = 0.5 * ((z - F.one_hot(y, CLASSES)) ** 2).sum(1)
    losses.mean().backward()
    return {
        "activation": activation, "batch_norm": batch_norm, "mode": mode, "loss": loss,
        "start": start, "losses": flat(losses),
        "grad": {name: flat(p.grad) for name, p in net.named_parameters()},
        "buffers_after": {name: flat(b) for name, b in net.named_buffers() if b.is_floating_point()},
    }


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                       pathlib.Path(__file__).parent.parent / "tests/fixtures/mlp.json")
    torch.manual_seed(1111)
    x, y = torch.rand(BATCH, *INPUT) - 0.5, torch.randint(0, CLASSES, (BATCH,))
    cases = [case(a, True, m, l, x, y) for a in ACTIVATIONS for m in ("batch", "running")
             for l in ("cross_entropy", "squared_error")]
    cases += [case("relu", False, "batch", l, x, y) for l in ("cross_entropy", "squared_error")]
    fixture = {"torch": torch.__version__, "input": INPUT, "widths": WIDTHS, "classes": CLASSES,
               "inputs": flat(x), "labels": y.tolist(), "cases": cases}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(fixture) + "\n")
    print(f"{out}: {len(cases)} cases")


if __name__ == "__main__":
    main()
