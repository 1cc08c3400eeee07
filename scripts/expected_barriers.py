#!/usr/bin/env python3
"""How many barriers the noise of the authors' evaluation would be expected to produce, with curves and noise from two runs.

    python3 scripts/expected_barriers.py CURVES NOISE PAPER

CURVES and NOISE are run folders or records under docs/results/table1-full: one with updates measured on images augmented once an
epoch, the other with the noise of the authors' evaluation, by sample. Prints the expected number in 450 updates, with a 95%
interval that allows for the error of the noise and for the choice of the updates measured (bootstrap), and the noise at which the
number would be PAPER, the paper's count, with the interval of a Poisson variable. Needs no packages.
"""

import math
import random
import sys

from check_paper_noise import height, rows

DRAWS = 2000
RESAMPLES = 2000
UPDATES = 450


def probabilities(curves, sigma):
    """The probability that noise gives each curve a barrier."""
    rng = random.Random(1)

    def probability(curve):
        drawn = (height([rng.gauss(loss, sigma) for loss in curve]) for _ in range(DRAWS))
        return sum(found > 0 for found in drawn) / DRAWS

    return [probability(curve) for curve in curves]


def expected(curves, sigma):
    """The expected number of barriers."""
    found = probabilities(curves, sigma)
    return UPDATES * sum(found) / len(found)


def error_of_choice(found):
    """The standard deviation of the expected number over updates drawn with replacement from those measured."""
    rng = random.Random(2)
    counts = [UPDATES * sum(rng.choices(found, k=len(found))) / len(found) for _ in range(RESAMPLES)]
    mean = sum(counts) / len(counts)
    return math.sqrt(sum((count - mean) ** 2 for count in counts) / len(counts))


def noise_for(curves, count, most):
    """The noise up to `most` at which the expected number is `count`."""
    low, high = 0.0, most
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(curves, middle) < count else (low, middle)
    return high


def poisson_interval(count):
    """The means for which `count` or more, and `count` or less, has a probability of 2.5% (Garwood, 1936)."""

    def at_most(mean, n):
        return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(n + 1))

    def solve(is_above):
        low, high = 1e-9, 10.0 * count + 20
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if is_above(middle) else (middle, high)
        return high

    lower = solve(lambda mean: 1 - at_most(mean, count - 1) > 0.025) if count else 0.0
    return lower, solve(lambda mean: at_most(mean, count) < 0.025)


def main(curves, noise, paper):
    curves = [row["losses"] for row in rows(curves, "interpolation")]
    (noise,) = (row["by_sample"] for row in rows(noise, "noise"))
    sigma, error = noise["sigma"], noise["sigma"] / math.sqrt(2 * noise["degrees_of_freedom"])
    found = probabilities(curves, sigma)
    count, choice = UPDATES * sum(found) / len(found), error_of_choice(found)
    slope = (expected(curves, sigma + error) - expected(curves, sigma - error)) / 2
    reach = 1.96 * math.hypot(slope, choice)
    print(f"sigma {sigma:.2e}: expected {count:.1f} of {UPDATES}, {count - reach:.1f} to {count + reach:.1f}")
    factors = [noise_for(curves, mean, sigma) / sigma for mean in (int(paper), *poisson_interval(int(paper)))]
    print("expected {} of {} at {:.2f} times the noise measured, {:.2f} to {:.2f}".format(paper, UPDATES, *factors))


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
