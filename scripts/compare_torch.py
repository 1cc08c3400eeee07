#!/usr/bin/env python3
"""Compares the speed of sgdwalk and PyTorch on this machine, in alternating runs, as a table of ratios.

usage: compare_torch.py [--rounds R] [--python PYTHON] [--compile] [ARCH ...]

ARCH: mlp (the default), vgg11, resnet56.  The data of its experiment must be present (data/mnist for
mlp, data/cifar10 for the others; `sgdwalk data fetch` downloads it).
PYTHON is an interpreter that has torch; without it, torch is installed from PyPI into a temporary virtual environment.
Each round runs both programs once, so that a slow period of the machine affects both.  The table shows medians over the
rounds and, for the ratio, its smallest and largest value.  --compile adds PyTorch with torch.compile, which cannot do Hv.
"""
import argparse, json, pathlib, platform, statistics, subprocess, sys, tempfile, venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPERIMENTS = {"mlp": "experiments/base/mlp-mnist.toml", "vgg11": "experiments/base/vgg11-cifar10.toml",
               "resnet56": "experiments/base/resnet56-cifar10.toml"}
# number of samples evaluated: an even number of chunks of 100, so that two threads have the same number
IMAGES = {"mlp": 20000, "vgg11": 600, "resnet56": 600}
FASTER_IS_MORE = [("eval_images_per_s", "evaluation, images/s"), ("train_images_per_s", "training, images/s"),
                  ("hvp_images_per_s", "exact Hv, images/s")]


def run(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stderr}")
    return done.stdout


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def compare(arch, python, rounds, modes):
    ours, theirs = [], {name: [] for name in modes}
    images = IMAGES[arch]
    for _ in range(rounds):
        bench = [ROOT / "target/debug/sgdwalk", "bench", EXPERIMENTS[arch], "--json", "--repeat", "3", "--eval", str(images)]
        ours.append(json.loads(run(bench)))
        for name, options in modes.items():
            torch = [python, ROOT / "scripts/torch_walk.py", arch, "--eval", str(images), *options]
            theirs[name].append(json.loads(run(torch)))
    versions = theirs["PyTorch"][0]["torch"]
    print(f"\n{arch}: {rounds} alternating rounds, {ours[0]['threads']} threads, torch {versions}, {processor()}\n")
    print("| measure | sgdwalk | share of the bound |" + "".join(f" {name} | ratio (smallest to largest) |" for name in modes))
    print("| --- | ---: | ---: |" + " ---: | ---: |" * len(modes))
    rows = [(key, name, lambda a, b: a / b) for key, name in FASTER_IS_MORE]
    rows.append(("segment_s", f"one step of 10 losses on {images:,} images, s", lambda a, b: b / a))
    for key, name, ratio in rows:
        digits = 3 if key == "segment_s" else 0
        median = lambda results: f"{statistics.median(r[key] for r in results):,.{digits}f}"
        bound = key.replace("_images", "_bound_images")
        share = f"{statistics.median(r[key] / r[bound] for r in ours):.2f}" if bound in ours[0] and bound != key else ""
        cells = [name, median(ours), share]
        for results in theirs.values():
            if results[0][key] is None:
                cells += ["", ""]
                continue
            ratios = sorted(ratio(a[key], b[key]) for a, b in zip(ours, results))
            cells += [median(results), f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"]
        print("| " + " | ".join(cells) + " |", flush=True)


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("arch", nargs="*", metavar="ARCH", default=["mlp"])
    cli.add_argument("--rounds", type=int, default=5)
    cli.add_argument("--python")
    cli.add_argument("--compile", action="store_true")
    arg = cli.parse_args()
    if unknown := set(arg.arch) - set(EXPERIMENTS):
        cli.error(f"unknown ARCH {sorted(unknown)}, expected some of {sorted(EXPERIMENTS)}")
    run(["cargo", "build", "-p", "runner"])
    with tempfile.TemporaryDirectory() as folder:
        python = arg.python
        if not python:
            print("installing torch into a temporary virtual environment", file=sys.stderr)
            venv.create(folder, with_pip=True)
            python = f"{folder}/bin/python"
            run([python, "-m", "pip", "install", "-q", "torch", "numpy"])
        modes = {"PyTorch": []} | ({"torch.compile": ["--compile"]} if arg.compile else {})
        for arch in arg.arch:
            compare(arch, python, arg.rounds, modes)


if __name__ == "__main__":
    main()
