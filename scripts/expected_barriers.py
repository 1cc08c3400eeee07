#!/usr/bin/env python3
"""How many barriers the noise of the authors' evaluation would be expected to produce, with curves and noise from two runs.

    python3 scripts/expected_barriers.py CURVES NOISE PAPER

CURVES and NOISE are run folders or records under docs/results/table1-full: one with updates measured on images augmented once an
epoch, the other with the noise of the authors' evaluation, by sample. Prints the expected number in 450 updates at that noise and
at the ends of its 95% interval, and the noise at which it would be PAPER, the paper's count. Needs no packages.
"""

import math
import random
import sys

from check_paper_noise import height, rows

DRAWS = 4000


def expected(curves, sigma):
    """The mean number of barriers in 450 updates, from the probability that noise gives each curve one."""
    rng = random.Random(1)
    found = 0
    for curve in curves:
        for _ in range(DRAWS):
            found += height([rng.gauss(loss, sigma) for loss in curve]) > 0
    return 450 * found / (DRAWS * len(curves))


def main(curves, noise, paper):
    curves = [row["losses"] for row in rows(curves, "interpolation")]
    (noise,) = (row["by_sample"] for row in rows(noise, "noise"))
    sigma, error = noise["sigma"], 1.96 * noise["sigma"] / math.sqrt(2 * noise["degrees_of_freedom"])
    for name, value in [("sigma", sigma), ("low", sigma - error), ("high", sigma + error)]:
        print(f"{name}: {value:.2e}, expected {expected(curves, value):.1f} of 450")
    low, high = 0.0, sigma
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(curves, middle) < float(paper) else (low, middle)
    print(f"expected {paper} of 450 at a noise of {high:.2e}, {high / sigma:.2f} of the measured one")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
