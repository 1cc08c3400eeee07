#!/usr/bin/env python3
"""How many barriers the noise of the authors' evaluation would be expected to produce, with curves and noise from two runs.

    python3 scripts/expected_barriers.py CURVES NOISE PAPER

CURVES and NOISE are run folders or records under docs/results/table1-full: one with updates measured on images in a fixed order,
the other with the noise of evaluations that draw them anew, by sample if it has that, scaled to the number of images of CURVES.
Prints the expected number in 450 updates, and the fraction of the noise at which it would be PAPER, the paper's count, both with
95% ranges by Monte Carlo, which allow for

- the choice of the updates measured: bootstrap;
- the error of the noise: a chi-square variable with its degrees of freedom;
- the error of adaptive curves, which were measured on part of the images: the bow of each is multiplied by exp(z e), with the
  relative error e of its height, which keeps it below its chord, as the verdict says it is; z is normal and, since curves share
  their images, the same for all of them, the least favorable case;
- the Poisson scatter of the paper's count (second number only): a gamma variable (Jeffreys' prior).

If PAPER is 0, the second number is an upper 95% bound. Needs no packages.
"""

import json
import math
import random
import sys

from check_paper_noise import estimate, mean_square, rows

UPDATES = 450
DRAWS = 4000
# of the noise measured, as logarithms, and values of z
FRACTIONS = [math.log(0.02) + i * math.log(1.12) for i in range(48)]
ERRORS = [-3 + 0.5 * i for i in range(13)]


def probability(curve, sigma):
    """The probability that independent noise lifts the highest interior loss above both ends, by the trapezoidal rule."""

    def cdf(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def density(x):
        return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)

    top = max(curve[0], curve[-1])
    interior = [(loss - top) / sigma for loss in curve[1:-1]]
    lower = (min(curve[0], curve[-1]) - top) / sigma
    step, none = 0.125, 0.0
    for i in range(-64, 65):
        x = step * i
        # density of the higher end
        higher = density(x) * cdf(x - lower) + cdf(x) * density(x - lower)
        none += step * higher * math.prod(cdf(x - loss) for loss in interior)
    return max(0.0, 1 - none)


def bent(row, z):
    """The curve with its distance from the chord scaled by exp(z e), with the relative error e of its height."""
    losses, error = row["losses"], (row.get("height_error") or 0.0) / abs(row["height"])
    points = len(losses) - 1
    chord = [losses[0] + (losses[-1] - losses[0]) * i / points for i in range(points + 1)]
    return [on_chord + (loss - on_chord) * math.exp(z * error) for loss, on_chord in zip(losses, chord)]


def between(grid, x):
    """The place of x in a grid: an index, and how far on the way to the next."""
    x = min(max(x, grid[0]), grid[-1])
    i = next(i for i in range(len(grid) - 1) if x <= grid[i + 1])
    step = grid[i + 1] - grid[i]
    return i, (x - grid[i]) / step if step else 0.0


class Expected:
    """The expected number for curves chosen among those measured, by interpolation in a table."""

    def __init__(self, curves, sigma):
        sigmas = [math.exp(log) * sigma for log in FRACTIONS]
        probabilities = lambda curve: [probability(curve, s) for s in sigmas]
        self.table = [[probabilities(bent(row, z)) for z in ERRORS] for row in curves]

    def by_fraction(self, chosen, z):
        """At each of FRACTIONS."""
        i, part = between(ERRORS, z)
        pairs = [(self.table[row][i], self.table[row][i + 1]) for row in chosen]
        sums = [sum((1 - part) * low[k] + part * high[k] for low, high in pairs) for k in range(len(FRACTIONS))]
        return [UPDATES * total / len(pairs) for total in sums]


def at(numbers, fraction):
    """The number at a fraction."""
    i, part = between(FRACTIONS, math.log(fraction))
    return (1 - part) * numbers[i] + part * numbers[i + 1]


def fraction_for(numbers, count):
    """The fraction at which the increasing numbers reach the count."""
    i, part = between(numbers, count)
    return math.exp((1 - part) * FRACTIONS[i] + part * FRACTIONS[i + 1])


def images(run):
    """Number of training images of a run."""
    with open(f"{run}/run.json") as text:
        return json.load(text)["data"]["train"]


def main(curves, noise, paper):
    (measured,) = rows(noise, "noise")
    sigma, freedom = estimate(measured)
    sigma *= math.sqrt(images(noise) / images(curves))
    curves = rows(curves, "interpolation")
    expected = Expected(curves, sigma)
    rng = random.Random(1)
    counts, fractions = [], []
    for _ in range(DRAWS):
        numbers = expected.by_fraction(rng.choices(range(len(curves)), k=len(curves)), rng.gauss(0, 1))
        true = 1 / math.sqrt(mean_square(rng, freedom))
        counts.append(at(numbers, true))
        # for a count of 0, the mean at which it has a probability of 5% is the 95% quantile of the exponential distribution
        fractions.append(fraction_for(numbers, rng.gammavariate(paper + 0.5 if paper else 1, 1)) / true)
    best = expected.by_fraction(range(len(curves)), 0)

    def quantile(draws, share):
        return sorted(draws)[int(share * (DRAWS - 1))]

    def text(value, draws, form):
        return f"{value:{form}} ({quantile(draws, 0.025):{form}} to {quantile(draws, 0.975):{form}})"

    print(f"sigma {sigma:.2e}: expected {text(at(best, 1), counts, '.0f')} of {UPDATES}")
    if paper:
        print(f"expected {paper} of {UPDATES} at {text(fraction_for(best, paper), fractions, '.2f')} of this noise")
    else:
        print(f"0 of {UPDATES} has a probability of 5% at {quantile(fractions, 0.95):.2f} of this noise")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3])) if len(sys.argv) == 4 else sys.exit(__doc__)
