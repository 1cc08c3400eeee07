#!/usr/bin/env python3
"""Exports an nn.Module to ONNX as sgdwalk's plugin `onnx` reads it: batch norm and dropout are kept, nothing is folded,
and parameters keep their names.

usage: export_onnx.py MODULE:FACTORY --input 3x32x32 --out net.onnx [--weights FILE]

FACTORY is a function without arguments, or a class, of MODULE, which is a module's name or the path of a file; it returns
the nn.Module. FILE is a state_dict saved by torch.save or a safetensors file. Needs torch, onnx and onnxscript
(python3 -m pip install torch onnx onnxscript).
"""
import argparse, importlib, importlib.util, pathlib, sys, warnings
import onnx
import torch
from onnx import numpy_helper

# The plugin reads this key: initializers that are not trained.
BUFFERS = "sgdwalk.buffers"


def export(net, shape, path):
    """Writes the training form of `net` for inputs of `shape`, and checks what it wrote."""
    training = net.training
    net.train()
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(net, (torch.randn(3, *shape),), dynamo=True, optimize=False, verbose=False,
                                    dynamic_shapes=({0: batch},))
    net.train(training)
    model = program.model_proto
    known = {name for name, _ in net.named_buffers()}
    entry = model.metadata_props.add()
    entry.key, entry.value = BUFFERS, " ".join(sorted(known))
    onnx.checker.check_model(model)
    check(net, model)
    onnx.save(model, path)
    return model


def check(net, model):
    """Stops unless every parameter is in the file under its name, with its values."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, parameter in net.named_parameters():
        if name not in stored:
            sys.exit(f"the exporter left out the parameter {name}; is it used, and under this name only?")
        values = torch.from_numpy(numpy_helper.to_array(stored[name]).copy())
        if values.shape != parameter.shape or not torch.equal(values, parameter.detach().to(values.dtype)):
            sys.exit(f"the exporter changed the parameter {name}")


def load(source):
    """The network that MODULE:FACTORY makes."""
    module, _, factory = source.partition(":")
    if not factory:
        sys.exit(f"{source}: expected MODULE:FACTORY, as in nets.py:resnet")
    if module.endswith(".py"):
        spec = importlib.util.spec_from_file_location(pathlib.Path(module).stem, module)
        loaded = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(pathlib.Path(module).resolve().parent))
        spec.loader.exec_module(loaded)
    else:
        sys.path.insert(0, ".")
        loaded = importlib.import_module(module)
    net = getattr(loaded, factory)()
    if not isinstance(net, torch.nn.Module):
        sys.exit(f"{source} gave a {type(net).__name__}, expected an nn.Module")
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", metavar="MODULE:FACTORY")
    parser.add_argument("--input", required=True, metavar="CxHxW", help="the shape of one input")
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--weights", metavar="FILE", help="load these weights first")
    arguments = parser.parse_args()
    net = load(arguments.network)
    if arguments.weights:
        if arguments.weights.endswith(".safetensors"):
            from safetensors.torch import load_file
            net.load_state_dict(load_file(arguments.weights))
        else:
            net.load_state_dict(torch.load(arguments.weights, map_location="cpu", weights_only=True))
    shape = [int(dim) for dim in arguments.input.split("x")]
    export(net, shape, arguments.out)
    print(f"{arguments.out}: {sum(p.numel() for p in net.parameters())} parameters; "
          f"see `sgdwalk plugins onnx --set file={arguments.out} --input {arguments.input}`")


if __name__ == "__main__":
    main()
