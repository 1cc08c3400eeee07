#!/usr/bin/env python3
"""Makes tests/fixtures/probes.json: the expected results of the probes, computed by PyTorch in float64.

usage: make_probe_fixtures.py [OUT]       Needs torch and numpy (python3 -m pip install torch numpy).

Small networks take three steps of full-batch gradient descent, in chunks with batch norm per chunk, on images that both
sides can generate (`numbers` in scripts/networks.py). The file has for every step the cosine of consecutive gradients, with
and without weight decay, and the distance from the initial point; and at each point reached g'Hg/g'g on the full loss and
with the Hessian of the first samples, the trace and the five largest eigenvalues of the full Hessian matrix, and tr C of
the per-sample gradients. For the update, it has the loss change, g'd and d'Hd. Further matrices, computed in full, are the
Gauss-Newton matrix from the Jacobian of the outputs, the Fisher information from its definition as a mean over the network's
own labels, the empirical Fisher matrix, and the blocks of the Hessian by layer; and at the points that Adam reaches in as
many steps, its preconditioned Hessian.
"""
import json, pathlib, sys
import torch, torch.nn as nn, torch.nn.functional as F
from networks import numbers, set_numbers

SIDE, CLASSES, SAMPLES, CHUNK, PART = 4, 5, 60, 20, 40
LR, ADAM_LR, DECAY, STEPS = 0.3, 0.01, 1e-2, 3
# After Adam's first update its preconditioner is |g| + epsilon, and the largest eigenvalue belongs to the parameter whose g is
# closest to 0. That gradient is as small as 6.6e-6, which float32 gives only to about 1e-4, and at an epsilon of 1e-8 the
# eigenvalue inherits this error, PyTorch's in float32 too.
ADAM_EPSILON = 1e-3


def mlp(batch_norm, activation):
    layers, size = [nn.Flatten()], SIDE * SIDE
    for width in (9, 6):
        layers.append(nn.Linear(size, width))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(activation())
        size = width
    return nn.Sequential(*layers, nn.Linear(size, CLASSES))


def chunked_loss(net, params, x, y, train):
    """Mean loss of all samples, with batch norm on the statistics of each chunk or on running ones."""
    total = 0
    for start in range(0, len(x), CHUNK):
        buffers = {n: b.clone() for n, b in net.named_buffers()}
        z = torch.func.functional_call(net.train(train), {**params, **buffers}, (x[start:start + CHUNK],))
        total = total + F.cross_entropy(z, y[start:start + CHUNK], reduction="sum")
    return total / len(x)


def case(name, batch_norm, activation, pixels, y):
    net = mlp(batch_norm, activation)
    set_numbers(net)
    net.double()
    names = [n for n, _ in net.named_parameters()]
    shapes = [p.shape for p in net.parameters()]
    sizes = [p.numel() for p in net.parameters()]
    theta = torch.cat([p.detach().flatten() for p in net.parameters()])

    def unflat(flat):
        return {n: part.view(s) for n, part, s in zip(names, flat.split(sizes), shapes)}

    x = pixels.double()
    train = batch_norm
    full = lambda flat: chunked_loss(net, unflat(flat), x, y, train)
    part = lambda flat: chunked_loss(net, unflat(flat), x[:PART], y[:PART], train)
    grad = torch.func.grad(full)

    def outputs(flat):
        parts = [torch.func.functional_call(net.train(train), {**unflat(flat), **{n: b.clone() for n, b in net.named_buffers()}},
                                            (x[start:start + CHUNK],)) for start in range(0, len(x), CHUNK)]
        return torch.cat(parts)

    def matrices(theta, hessian):
        """The largest eigenvalues and the trace of each matrix."""
        jacobian = torch.autograd.functional.jacobian(outputs, theta)  # [samples, classes, P]
        p = torch.softmax(outputs(theta), 1)
        of_outputs = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        found = {"gauss_newton": torch.einsum("nca,ncd,ndb->ab", jacobian, of_outputs, jacobian) / len(x)}
        slopes = torch.eye(CLASSES).double()[None] - p[:, None, :]  # of log p_label, by label
        scores = torch.einsum("nlc,nca->nla", slopes, jacobian)
        found["fisher"] = torch.einsum("nl,nla,nlb->ab", p, scores, scores) / len(x)
        if not batch_norm:
            own = scores[torch.arange(len(x)), y]
            found["empirical_fisher"] = own.T @ own / len(x)
        offset, ranges = 0, {}
        for name, size in zip(names, sizes):
            layer = name.rsplit(".", 1)[0] + ".*"
            ranges.setdefault(layer, []).extend(range(offset, offset + size))
            offset += size
        for layer, members in ranges.items():
            found[layer] = hessian[members][:, members]
        return {name: {"values": torch.linalg.eigvalsh(m).flip(0)[:3].tolist(), "trace": m.trace().item()}
                for name, m in found.items()}

    def preconditioned(theta):
        """After each step of Adam with weight decay, the largest eigenvalues of P^-1/2 (H + decay) P^-1/2."""
        first, second, beta1, beta2, found = 0, 0, 0.9, 0.999, []
        for t in range(1, STEPS + 1):
            g = grad(theta) + DECAY * theta
            first, second = beta1 * first + (1 - beta1) * g, beta2 * second + (1 - beta2) * g ** 2
            diagonal = (1 - beta1 ** t) * ((second / (1 - beta2 ** t)).sqrt() + ADAM_EPSILON)
            theta = theta - ADAM_LR * first / diagonal
            hessian = torch.autograd.functional.hessian(full, theta) + DECAY * torch.eye(len(theta)).double()
            scale = diagonal.rsqrt()
            found.append(torch.linalg.eigvalsh(scale[:, None] * hessian * scale[None, :]).flip(0)[:3].tolist())
        return found

    start, before, steps = theta.clone(), None, []
    for _ in range(STEPS):
        g = grad(theta)
        decayed = g + DECAY * theta
        cos = lambda a, b: (a @ b / (a.norm() * b.norm())).item()
        row = {"cosine": None, "cosine_with_decay": None}
        if before is not None:
            row = {"cosine": cos(before[0], g), "cosine_with_decay": cos(before[1], decayed)}
        before = (g, decayed)
        loss_before, old_grad, old_hessian = full(theta), g, torch.autograd.functional.hessian(full, theta)
        theta = theta - LR * decayed
        step = -LR * decayed
        row["change"] = (full(theta) - loss_before).item()
        row["slope"] = (old_grad @ step).item()
        row["curvature"] = (step @ old_hessian @ step).item()
        row["distance"] = (theta - start).norm().item()
        g = grad(theta)
        hessian = torch.autograd.functional.hessian(full, theta)
        of_part = torch.autograd.functional.hessian(part, theta)
        row["alignment"] = (g @ hessian @ g / (g @ g)).item()
        row["alignment_of_part"] = (g @ of_part @ g / (g @ g)).item()
        values, vectors = torch.linalg.eigh(hessian)
        row["eigenvalues"] = values.flip(0)[:5].tolist()
        row["trace"] = hessian.trace().item()
        row["gradient_share"] = ((vectors[:, -5:].T @ g) ** 2).sum().item() / (g @ g).item()
        row["grad_norm_sq"] = (g @ g).item()
        row["matrices"] = matrices(theta, hessian)
        # per-sample gradients need a batch norm that does not depend on the other samples
        one = lambda flat, i: chunked_loss(net, unflat(flat), x[i:i + 1], y[i:i + 1], False)
        if batch_norm:
            chunks = [torch.func.grad(lambda f: chunked_loss(net, unflat(f), x[i:i + CHUNK], y[i:i + CHUNK], True))(theta)
                      for i in range(0, SAMPLES, CHUNK)]
            each, unit = torch.stack(chunks), CHUNK
            apart = sum(((c - g) ** 2).sum().item() for c in chunks) / len(chunks)
            row["tr_c"] = apart / (1 / CHUNK - 1 / SAMPLES)
        else:
            each = torch.stack([torch.func.grad(one)(theta, i) for i in range(SAMPLES)])
            unit = 1
            row["tr_c"] = each.var(0, unbiased=True).sum().item()
        # the variance along the five eigenvectors
        along = each @ vectors[:, -5:].flip(1)
        row["noise"] = (unit * along.var(0, unbiased=True)).tolist()
        steps.append(row)
    return {"name": name, "batch_norm": batch_norm, "activation": activation.__name__.lower(), "names": names,
            "steps": steps, "preconditioned": preconditioned(start)}


def images():
    """Bytes of images, normalized as a data set's: byte / 255 - 0.5."""
    bytes_ = ((numbers(1, SAMPLES * SIDE * SIDE) + 0.5) * 256).floor().clamp(0, 255)
    return (bytes_.float() / 255 - 0.5).view(SAMPLES, 1, SIDE, SIDE)


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                       pathlib.Path(__file__).parent.parent / "tests/fixtures/probes.json")
    pixels, y = images(), torch.arange(SAMPLES) * 7 % CLASSES
    cases = [case("plain", False, nn.Tanh, pixels, y), case("batch norm", True, nn.Tanh, pixels, y)]
    fixture = {"torch": torch.__version__, "side": SIDE, "classes": CLASSES, "samples": SAMPLES, "chunk": CHUNK,
               "part": PART, "lr": LR, "adam_lr": ADAM_LR, "adam_epsilon": ADAM_EPSILON,
               "weight_decay": DECAY, "cases": cases}
    out.write_text(json.dumps(fixture, indent=0) + "\n")
    print(f"{out}: {len(cases)} cases")


if __name__ == "__main__":
    main()
