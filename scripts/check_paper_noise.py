#!/usr/bin/env python3
"""Checks the table paper_barriers on updates evaluated as the authors did (scripts/table1_full.sh).

    python3 scripts/check_paper_noise.py AUGMENTED_RUN PAPER_RUN [AUGMENTED_RUN PAPER_RUN ...]

AUGMENTED_RUN has the curves of updates on images augmented once an epoch and the noise sigma of the authors' evaluation,
PAPER_RUN the same updates with every loss evaluated by the authors' method. If the prediction is right,

- the residuals of a paper curve from its least-squares parabola have the deviation sigma: at 11 points, the sum of their squares
  / sigma^2 is a chi-square variable with 8 degrees of freedom;
- the height of the paper curve, its highest interior loss less the higher end, is one of those that the augmented curve with
  independent noise has: its rank among them is uniform.

sigma is itself estimated: its square is sigma^2 times a chi-square variable with f degrees of freedom over f, where f is recorded
with an estimate by sample, and n - 1 for one from n evaluations. Each update's p-value allows for that; the p-value of all ranks
together does not allow for their common sigma, so with fewer than a hundred degrees of freedom it is too small too often.

Prints both for each update, and the p-values of all together. Needs no packages.
"""

import gzip
import json
import math
import os
import random
import sys

DRAWS = 20000


def rows(run, kind):
    path = f"{run}/metrics.jsonl"
    with open(path) if os.path.exists(path) else gzip.open(path + ".gz", "rt") as lines:
        return [row for row in map(json.loads, lines) if row["kind"] == kind]


def height(losses):
    return max(losses[1:-1]) - max(losses[0], losses[-1])


def residual_sum(losses):
    """Sum of squared residuals from the least-squares parabola over evenly spaced points."""
    n = len(losses)
    x = [2 * i / (n - 1) - 1 for i in range(n)]
    basis = []
    for degree in range(3):
        vector = [value**degree for value in x]
        for lower in basis:
            along = sum(a * b for a, b in zip(vector, lower))
            vector = [a - along * b for a, b in zip(vector, lower)]
        norm = math.sqrt(sum(a * a for a in vector))
        basis.append([a / norm for a in vector])
    rest = list(losses)
    for vector in basis:
        along = sum(a * b for a, b in zip(rest, vector))
        rest = [a - along * b for a, b in zip(rest, vector)]
    return sum(a * a for a in rest)


def estimate(row):
    """The standard deviation of a noise row and its degrees of freedom, by sample if it has that."""
    found = row.get("by_sample")
    return (found["sigma"], found["degrees_of_freedom"]) if found else (row["sigma"], row["evaluations"] - 1)


def pooled(noise):
    """The standard deviation of the loss at one point, from the noise rows of an epoch, and its degrees of freedom."""
    estimates = [estimate(row) for row in noise]
    freedom = sum(of for _, of in estimates)
    return math.sqrt(sum(of * sigma**2 for sigma, of in estimates) / freedom), freedom


def mean_square(rng, freedom):
    """A chi-square variable over its degrees of freedom."""
    return rng.gammavariate(freedom / 2, 2 / freedom)


def residuals_tail(total, epochs):
    """P(total or more) for the sum over epochs of squared residuals / sigma^2, by simulation.

    epochs: pairs of the degrees of freedom of an epoch's residuals and of its sigma.
    """
    rng = random.Random(3)
    draw = lambda: sum(of * mean_square(rng, of) / mean_square(rng, freedom) for of, freedom in epochs)
    return sum(draw() >= total for _ in range(DRAWS)) / DRAWS


def kolmogorov(ranks):
    """p-value of uniform ranks by the Kolmogorov-Smirnov test, by simulation."""

    def distance(values):
        n = len(values)
        return max(max((i + 1) / n - v, v - i / n) for i, v in enumerate(sorted(values)))

    seen = distance(ranks)
    rng = random.Random(2)
    more = sum(distance([rng.random() for _ in ranks]) >= seen for _ in range(DRAWS))
    return more / DRAWS


def main(runs):
    if not runs or len(runs) % 2:
        sys.exit(__doc__)
    rng = random.Random(1)
    print("| run | step | sigma | residuals / sigma | height / sigma | P(barrier) | rank of the height |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    total, epochs, ranks, expected, found = 0.0, [], [], 0.0, 0
    for augmented, paper in zip(runs[::2], runs[1::2]):
        noise = [row for row in rows(augmented, "noise") if row["evaluation"] == "paper"]
        sigmas = {epoch: pooled([row for row in noise if row["epoch"] == epoch]) for epoch in {row["epoch"] for row in noise}}
        freedom = dict.fromkeys(sigmas, 0)
        curves = {row["step"]: row["losses"] for row in rows(augmented, "interpolation")}
        for row in rows(paper, "interpolation"):
            if row["step"] not in curves or row["epoch"] not in sigmas:
                continue
            sigma, evaluated = sigmas[row["epoch"]]
            curve, losses = curves[row["step"]], row["losses"]

            def draw():
                of_draw = sigma / math.sqrt(mean_square(rng, evaluated))
                return height([loss + rng.gauss(0, of_draw) for loss in curve])

            draws = [draw() for _ in range(DRAWS)]
            squares, of = residual_sum(losses) / sigma**2, len(losses) - 3
            rank = sum(draw < height(losses) for draw in draws) / DRAWS
            barrier = sum(draw > 0 for draw in draws) / DRAWS
            total, expected, found = total + squares, expected + barrier, found + (height(losses) > 0)
            freedom[row["epoch"]] += of
            ranks.append(rank)
            print(
                f"| {paper} | {row['step']} | {sigma:.2e} | {math.sqrt(squares / of):.2f} "
                f"| {height(losses) / sigma:.1f} | {barrier:.4f} | {rank:.3f} |"
            )
        epochs += [(of, sigmas[epoch][1]) for epoch, of in freedom.items() if of]
    print()
    of = sum(of for of, _ in epochs)
    print(f"barriers: {found} found, {expected:.2f} expected, in {len(ranks)} updates")
    print(f"residuals: {math.sqrt(total / of):.3f} sigma, p = {residuals_tail(total, epochs):.3f} ({of} degrees of freedom)")
    print(f"ranks of heights: p = {kolmogorov(ranks):.3f} (Kolmogorov-Smirnov)")


if __name__ == "__main__":
    main(sys.argv[1:])
