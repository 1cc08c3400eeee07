#!/usr/bin/env python3
"""Checks the table paper_barriers on updates evaluated as the authors did (scripts/table1_full.sh).

    python3 scripts/check_paper_noise.py AUGMENTED_RUN PAPER_RUN [AUGMENTED_RUN PAPER_RUN ...]

AUGMENTED_RUN has the curves of updates on images augmented once an epoch and the noise sigma of the authors' evaluation,
PAPER_RUN the same updates with every loss evaluated by the authors' method. If the prediction is right,

- the residuals of a paper curve from its least-squares parabola have the deviation sigma: sum of squares / sigma^2 has the
  chi-square distribution with 8 degrees of freedom at 11 points;
- the height of the paper curve, its highest interior loss less the higher end, is one of those that the augmented curve with
  independent noise has: its rank among them is uniform.

Prints both for each update, and the p-values of all together. Needs no packages.
"""

import json
import math
import random
import sys

DRAWS = 20000


def rows(run, kind):
    with open(f"{run}/metrics.jsonl") as lines:
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


def pooled(noise):
    """The deviation of the loss at one point, from the noise rows of an epoch."""
    squares = sum((row["evaluations"] - 1) * row["sigma"] ** 2 for row in noise)
    return math.sqrt(squares / sum(row["evaluations"] - 1 for row in noise))


def chi_square_tail(value, freedom):
    """P(X > value) for an even number of degrees of freedom."""
    half, term, total = value / 2, 1.0, 1.0
    for k in range(1, freedom // 2):
        term *= half / k
        total += term
    return math.exp(-half) * total


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
    total, freedom, ranks, expected, found = 0.0, 0, [], 0.0, 0
    for augmented, paper in zip(runs[::2], runs[1::2]):
        noise = [row for row in rows(augmented, "noise") if row["evaluation"] == "paper"]
        sigmas = {epoch: pooled([row for row in noise if row["epoch"] == epoch]) for epoch in {row["epoch"] for row in noise}}
        curves = {row["step"]: row["losses"] for row in rows(augmented, "interpolation")}
        for row in rows(paper, "interpolation"):
            if row["step"] not in curves or row["epoch"] not in sigmas:
                continue
            sigma = sigmas[row["epoch"]]
            curve, losses = curves[row["step"]], row["losses"]
            draws = [height([loss + rng.gauss(0, sigma) for loss in curve]) for _ in range(DRAWS)]
            squares, of = residual_sum(losses) / sigma**2, len(losses) - 3
            rank = sum(draw < height(losses) for draw in draws) / DRAWS
            barrier = sum(draw > 0 for draw in draws) / DRAWS
            total, freedom, expected, found = total + squares, freedom + of, expected + barrier, found + (height(losses) > 0)
            ranks.append(rank)
            print(
                f"| {paper} | {row['step']} | {sigma:.2e} | {math.sqrt(squares / of):.2f} "
                f"| {height(losses) / sigma:.1f} | {barrier:.4f} | {rank:.3f} |"
            )
    print()
    print(f"barriers: {found} found, {expected:.2f} expected, in {len(ranks)} updates")
    print(f"residuals: {math.sqrt(total / freedom):.3f} sigma, p = {chi_square_tail(total, freedom):.3f} ({freedom} degrees of freedom)")
    print(f"ranks of heights: p = {kolmogorov(ranks):.3f} (Kolmogorov-Smirnov)")


main(sys.argv[1:])
