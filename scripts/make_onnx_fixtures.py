#!/usr/bin/env python3
"""Makes tests/fixtures/onnx: networks exported from PyTorch, without their weights, and what PyTorch computes with them in
float64: losses, gradients, Hessian-vector products and five updates by SGD.

usage: make_onnx_fixtures.py [--out FOLDER] [--weights] [NAME...]

With --weights the files keep their weights. Needs torch, torchvision, onnx and onnxscript (python3 -m pip install torch
torchvision onnx onnxscript). Parameters, inputs and directions come from `numbers` in networks.py, which the Rust tests
reproduce.
"""
import argparse, json, pathlib
import onnx
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from export_onnx import export
from make_network_fixtures import derivatives, projections
from networks import Vgg11, Vit, WideResNet, mlp, numbers, resnet, set_numbers
from onnx_networks import ConvNext, PlainCnn, VggGroupNorm, ViT, mobilenet_v2, resnet18

CASES = {
    "resnet18": ([3, 32, 32], resnet18),
    "mobilenet_v2": ([3, 32, 32], mobilenet_v2),
    "vgg_group_norm": ([3, 32, 32], VggGroupNorm),
    "convnext": ([3, 32, 32], ConvNext),
    "vit_attention": ([3, 32, 32], ViT),
    "plain_cnn": ([3, 32, 32], PlainCnn),
    # the plugins' own networks, as in make_network_fixtures.py
    "mlp": ([3, 8, 8], lambda: mlp([20, 12], 192, 10)),
    "vgg11": ([3, 32, 32], lambda: Vgg11(0.0625, [16], 10)),
    "resnet56": ([3, 12, 12], lambda: resnet(14, 8, 10)),
    "wresnet": ([3, 8, 8], lambda: WideResNet(10, 2, 10)),
    "vit": ([3, 8, 8], lambda: Vit(8, 4, 12, 2, 3, 20, 10)),
}
ROWS = {"resnet18": 2, "mobilenet_v2": 2}
# see make_network_fixtures.py; less, because these networks have more ReLUs
MARGIN = 2e-6
UPDATES, MOMENTUM, WEIGHT_DECAY = 5, 0.9, 1e-3
# Where ReLUs change sign, f32 and f64 part: at 1e-3, PyTorch's own losses of MobileNetV2 in f32 and f64 differ by 9e-2 after
# five updates.
LR = {"resnet18": 1e-4, "mobilenet_v2": 1e-8}


def kinks(net, smallest):
    """Notes how near the inputs of ReLU and ReLU6 come to their kinks."""
    relu = F.relu

    def noted(x, inplace=False):
        smallest.append(x.abs().min().item())
        return relu(x)

    def before(module, inputs):
        smallest.append(inputs[0].abs().min().item())
        if isinstance(module, torch.nn.ReLU6):
            smallest.append((inputs[0] - 6).abs().min().item())

    hooks = [m.register_forward_pre_hook(before) for m in net.modules() if isinstance(m, (torch.nn.ReLU, torch.nn.ReLU6))]
    F.relu = noted

    def undo():
        F.relu = relu
        [hook.remove() for hook in hooks]
    return undo


def inputs(net, shape, rows):
    """The first stream of numbers whose inputs stay away from kinks, and these inputs."""
    state = {name: t.clone() for name, t in net.state_dict().items()}
    for stream in range(1, 400):
        x = numbers(stream, rows * shape[0] * shape[1] * shape[2]).view(rows, *shape).double() * 4
        smallest = [1.0]
        undo = kinks(net, smallest)
        with torch.no_grad():
            net(x)
        undo()
        net.load_state_dict(state)
        if min(smallest) > MARGIN:
            return stream, x
    raise SystemExit("no inputs keep the margin")


def strip(model, net):
    """Takes parameters, running statistics and where they come from in Python out of a file."""
    trained = {name for name, _ in [*net.named_parameters(), *net.named_buffers()]}
    for tensor in model.graph.initializer:
        if tensor.name in trained and tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.ClearField("raw_data")
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.value_info[:]


def updates(net, x, y, lr):
    """The losses before each update by SGD and after the last one, all on the same samples."""
    optimizer = torch.optim.SGD(net.parameters(), lr, MOMENTUM, weight_decay=WEIGHT_DECAY)
    losses = []
    for _ in range(UPDATES):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return losses + [F.cross_entropy(net(x), y).item()]


def other_loss(net, x, y, loss):
    """The losses of the samples and the gradient with another loss function."""
    z = net(x)
    if loss == "mse":
        losses = F.mse_loss(z, F.one_hot(y, z.shape[1]).to(z), reduction="none").mean(1)
    else:
        losses = F.cross_entropy(z, y, label_smoothing=0.1, reduction="none")
    return {"losses": losses.detach().tolist(), "grad": projections(torch.autograd.grad(losses.mean(), list(net.parameters())))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "tests/fixtures/onnx")
    parser.add_argument("--weights", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cases = []
    for name in arguments.names or CASES:
        (shape, make), rows = CASES[name], ROWS.get(name, 6)
        torch.manual_seed(0)
        net = make()
        set_numbers(net)
        path = arguments.out / f"{name}.onnx"
        model = export(net, shape, path)
        set_numbers(net)
        if not arguments.weights:
            strip(model, net)
            onnx.save(model, path)
        has_batch_norm = any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in net.modules())
        for mode in ("batch", "running") if has_batch_norm else ("running",):
            net = make()
            set_numbers(net)
            net.double().train(mode == "batch")
            stream, x = inputs(net, shape, rows)
            y = torch.arange(rows) * 7 % 10
            case = {
                "plugin": name, "options": {}, "rows": rows, "input": shape, "mode": mode, "input_stream": stream,
                **derivatives(net, x, y),
                "lr": LR.get(name, 1e-3), "updates": [],
            }
            if name == "convnext":
                case["losses_of"] = {loss: other_loss(net, x, y, loss) for loss in ("label_smoothing", "mse")}
            set_numbers(net)
            if mode == "batch" or not has_batch_norm:
                case["updates"] = updates(net.train(), x, y, case["lr"])
            cases.append(case)
            print(f"{name} {mode}: inputs {stream}, losses {case['updates'] or case['losses']}", flush=True)
    result = {"torch": torch.__version__, "rows": 6, "classes": 10, "cases": cases}
    (arguments.out / "cases.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__":
    # the other kernels of attention have no second derivatives
    with sdpa_kernel(SDPBackend.MATH):
        main()
