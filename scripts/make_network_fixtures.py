#!/usr/bin/env python3
"""Makes tests/fixtures/networks.json: losses, gradients and Hessian-vector products of small versions of the
plugins' networks, computed by PyTorch in float64.

usage: make_network_fixtures.py [OUT]       Needs torch and numpy (python3 -m pip install torch numpy).

Inputs, parameters and directions come from `numbers` in scripts/networks.py, which the Rust tests reproduce, so the
file contains only results: per-sample losses, and for every parameter tensor the projections of the gradient and of Hv
onto three directions, and their norms.
"""
import json, pathlib, sys
import torch
import torch.nn.functional as F
from networks import Vgg11, Vit, WideResNet, mlp, numbers, resnet, set_numbers

CASES = [
    ("mlp", {"widths": [20, 12]}, [3, 8, 8], lambda: mlp([20, 12], 192, 10)),
    ("vgg11", {"width": 0.0625, "head": [16]}, [3, 32, 32], lambda: Vgg11(0.0625, [16], 10)),
    ("resnet56", {"depth": 14, "width": 8}, [3, 12, 12], lambda: resnet(14, 8, 10)),
    ("wresnet", {"depth": 10, "widen": 2}, [3, 8, 8], lambda: WideResNet(10, 2, 10)),
    ("vit", {"patch": 4, "width": 12, "depth": 2, "heads": 3, "hidden": 20}, [3, 8, 8],
     lambda: Vit(8, 4, 12, 2, 3, 20, 10)),
]
ROWS = 6
# The derivative of ReLU jumps at 0. If an input is so close to 0 that a different order of f32 sums changes its sign, the
# gradients of two correct programs differ. Inputs are drawn until every input of a ReLU is at least this far from 0
# (Winograd's rounding error here is about 1e-6).
MARGIN = 1.5e-5


def nearest_to_zero(net, x):
    """The smallest absolute value of any ReLU's input."""
    smallest, relu = [], F.relu
    F.relu = lambda t, inplace=False: (smallest.append(t.abs().min().item()), relu(t))[1]
    try:
        net(x)
    finally:
        F.relu = relu
    return min(smallest, default=1.0)


def inputs(net, shape):
    """The first stream of numbers whose inputs respect the margin, and these inputs."""
    state = {name: t.clone() for name, t in net.state_dict().items()}
    for stream in range(1, 400):
        x = numbers(stream, ROWS * shape[0] * shape[1] * shape[2]).view(ROWS, *shape).double() * 4
        near = nearest_to_zero(net, x)
        net.load_state_dict(state)  # running statistics as they were
        if near > MARGIN:
            return stream, x
    sys.exit("no inputs respect the margin")


def projections(tensors):
    out = []
    for stream, t in enumerate(tensors):
        t = t.detach().flatten()
        directions = [numbers(5000 + 10 * stream + k, t.numel()).double() for k in range(3)]
        out.append({"norm": t.norm().item(), "onto": [(t @ d).item() for d in directions]})
    return out


def derivatives(net, x, y):
    """Per-sample losses of cross-entropy, and the projections of the gradient and of Hv, as they stand in a case."""
    losses = F.cross_entropy(net(x), y, reduction="none")
    params = list(net.parameters())
    grads = torch.autograd.grad(losses.mean(), params, create_graph=True)
    v = [numbers(3000 + stream, p.numel()).view_as(p).double() for stream, p in enumerate(params)]
    hv = torch.autograd.grad(sum((g * d).sum() for g, d in zip(grads, v)), params)
    return {
        "names": [name for name, _ in net.named_parameters()],
        "losses": losses.detach().tolist(), "grad": projections(grads), "hvp": projections(hv),
    }


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                       pathlib.Path(__file__).parent.parent / "tests/fixtures/networks.json")
    cases = []
    for plugin, options, shape, make in CASES:
        for mode in ("batch", "running"):
            net = make()
            set_numbers(net)
            net.double().train(mode == "batch")
            stream, x = inputs(net, shape)
            y = torch.arange(ROWS) * 7 % 10
            cases.append({
                "plugin": plugin, "options": options, "input": shape, "mode": mode, "input_stream": stream,
                **derivatives(net, x, y),
            })
    out.write_text(json.dumps({"torch": torch.__version__, "rows": ROWS, "classes": 10, "cases": cases}, indent=0) + "\n")
    print(f"{out}: {len(cases)} cases")


if __name__ == "__main__":
    main()
