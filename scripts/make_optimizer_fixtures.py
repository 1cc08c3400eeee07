#!/usr/bin/env python3
"""Makes tests/fixtures/optimizers.json: 50 updates by each of torch.optim's rules and schedules, in float64.

usage: make_optimizer_fixtures.py [OUT]       Needs torch and numpy (python3 -m pip install torch numpy).

The network and the images are those of make_probe_fixtures.py, without batch norm. Each case is an `[optim]` section and
the same optimizer and scheduler of PyTorch; the file has the learning rate of every update and θ after the last one.
"""
import json, pathlib, sys
import torch, torch.nn as nn, torch.nn.functional as F
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR
from make_probe_fixtures import CLASSES, SAMPLES, images, mlp
from networks import set_numbers

UPDATES, WARMUP, DECAY = 50, 10, 15


def warmup(optimizer):
    return LinearLR(optimizer, start_factor=1 / WARMUP, total_iters=WARMUP - 1)


def then(optimizer, *rest):
    """Warm-up, then the schedulers, each with the update at which it begins."""
    return SequentialLR(optimizer, [warmup(optimizer)] + [s for _, s in rest], [at for at, _ in rest])


def constant(optimizer):
    return ConstantLR(optimizer, factor=1.0)


SCHEDULES = {
    "none": (None, lambda o: constant(o)),
    "constant": ({"warmup": WARMUP}, lambda o: then(o, (WARMUP, constant(o)))),
    "step": ({"kind": "step", "milestones": [20, 35], "factor": 0.3}, lambda o: MultiStepLR(o, [20, 35], gamma=0.3)),
    "cosine": ({"kind": "cosine", "warmup": WARMUP, "final_factor": 0.05},
               lambda o: then(o, (WARMUP, CosineAnnealingLR(o, UPDATES - WARMUP, eta_min=0.05 * o.defaults["lr"])))),
    "warmup_stable_decay": (
        {"kind": "warmup_stable_decay", "warmup": WARMUP, "decay": DECAY, "final_factor": 0.1},
        lambda o: then(o, (WARMUP, constant(o)),
                       (UPDATES - DECAY, LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=DECAY)))),
}
RULES = {
    "plain": ({"lr": 0.3, "weight_decay": 1e-2}, lambda p: SGD(p, lr=0.3, weight_decay=1e-2)),
    "momentum": ({"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-2},
                 lambda p: SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-2)),
    "nesterov": ({"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-2},
                 lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2)),
    "adam": ({"rule": "adam", "lr": 0.01, "weight_decay": 1e-2}, lambda p: Adam(p, lr=0.01, weight_decay=1e-2)),
    "adamw": ({"rule": "adamw", "lr": 0.01, "weight_decay": 0.1,
               "adam": {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6}},
              lambda p: AdamW(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
}


def case(rule, schedule, x, y):
    net = mlp(False, nn.Tanh)
    set_numbers(net)
    net.double()
    (optim, make), (section, scheduler) = RULES[rule], SCHEDULES[schedule]
    optimizer = make(net.parameters())
    scheduler, rates = scheduler(optimizer), []
    for _ in range(UPDATES):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        scheduler.step()
    theta = torch.cat([p.detach().flatten() for p in net.parameters()])
    optim = {**optim, **({"schedule": section} if section else {})}
    return {"name": f"{rule}, {schedule}", "optim": optim, "rates": rates, "theta": theta.tolist(),
            "names": [n for n, _ in net.named_parameters()]}


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                       pathlib.Path(__file__).parent.parent / "tests/fixtures/optimizers.json")
    x, y = images().double(), torch.arange(SAMPLES) * 7 % CLASSES
    pairs = [(rule, "none") for rule in RULES] + [(r, s) for r in ("momentum", "adamw") for s in SCHEDULES if s != "none"]
    cases = [case(rule, schedule, x, y) for rule, schedule in pairs]
    out.write_text(json.dumps({"torch": torch.__version__, "updates": UPDATES, "cases": cases}, indent=0) + "\n")
    print(f"{out}: {len(cases)} cases")


if __name__ == "__main__":
    main()
