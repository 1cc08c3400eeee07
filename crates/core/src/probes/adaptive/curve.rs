//! The known losses of one segment.

/// The losses of one segment: for each point, those of the chunks drawn first.
pub(super) struct Curve {
    /// The chunks in the order in which they are drawn.
    pub(super) drawn: Vec<usize>,
    /// Number of samples in a chunk.
    pub(super) chunk: usize,
    pub(super) grid: Grid,
    /// The losses of the samples of these chunks, `[point][sample]`.
    pub(super) samples: Vec<Vec<f64>>,
    /// The chunks' mean losses, `[point][chunk]`.
    pub(super) chunks: Vec<Vec<f64>>,
}

/// The points of a segment.
pub(super) struct Grid {
    /// Their α.
    pub(super) alphas: Vec<f64>,
}

/// Units of evidence, samples or chunks, with their losses at each point, `[point][unit]`.
#[derive(Clone, Copy)]
pub(super) struct Units<'c> {
    grid: &'c Grid,
    losses: &'c [Vec<f64>],
}

impl Curve {
    pub(super) fn new(points: usize, drawn: Vec<usize>, chunk: usize) -> Self {
        let last = points - 1;
        let alphas = (0..points).map(|point| point as f64 / last as f64).collect();
        Self {
            drawn,
            chunk,
            grid: Grid { alphas },
            samples: vec![vec![]; points],
            chunks: vec![vec![]; points],
        }
    }

    /// Adds the samples' losses of the next chunks at `point`.
    pub(super) fn add(&mut self, point: usize, losses: &[f64]) {
        self.samples[point].extend_from_slice(losses);
        let means =
            losses.chunks_exact(self.chunk).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64);
        self.chunks[point].extend(means);
    }

    /// Total number of chunks.
    pub(super) fn total(&self) -> usize {
        self.drawn.len()
    }

    /// Number of chunks known at `point`.
    pub(super) fn seen(&self, point: usize) -> usize {
        self.chunks[point].len()
    }

    /// Number of chunks known at each point of the parabola.
    pub(super) fn seen_by_parabola(&self) -> usize {
        self.grid.parabola().map(|point| self.seen(point)).into_iter().min().unwrap_or(0)
    }

    /// Whether all chunks are known at `point`.
    pub(super) fn is_complete(&self, point: usize) -> bool {
        self.seen(point) == self.total()
    }

    /// Whether all chunks are known at each point of the parabola.
    pub(super) fn parabola_is_complete(&self) -> bool {
        self.seen_by_parabola() == self.total()
    }

    /// The mean loss at `point`, where all chunks are known, summed in the order of the samples, as in an exact evaluation.
    pub(super) fn exact(&self, point: usize) -> f64 {
        let mut places: Vec<usize> = (0..self.total()).collect();
        places.sort_unstable_by_key(|&place| self.drawn[place]);
        let sum = |place: usize| self.samples[point][place * self.chunk..][..self.chunk].iter().sum::<f64>();
        places.into_iter().map(sum).sum::<f64>() / (self.total() * self.chunk) as f64
    }

    pub(super) fn of_chunks(&self) -> Units<'_> {
        Units { grid: &self.grid, losses: &self.chunks }
    }

    pub(super) fn of_samples(&self) -> Units<'_> {
        Units { grid: &self.grid, losses: &self.samples }
    }
}

impl Grid {
    pub(super) fn last(&self) -> usize {
        self.alphas.len() - 1
    }

    /// The point whose distance from the chord serves as a proxy for that of the others.
    pub(super) fn middle(&self) -> usize {
        self.last() / 2
    }

    /// The points whose losses define the parabola.
    pub(super) fn parabola(&self) -> [usize; 3] {
        [0, self.middle(), self.last()]
    }

    pub(super) fn is_on_parabola(&self, point: usize) -> bool {
        self.parabola().contains(&point)
    }

    /// The distance of a parabola from the chord at `point`, as a fraction of that at the middle.
    pub(super) fn share(&self, point: usize) -> f64 {
        let product = |alpha: f64| alpha * (1.0 - alpha);
        product(self.alphas[point]) / product(self.alphas[self.middle()])
    }
}

impl Units<'_> {
    /// A unit's distance from its chord at `point`: l(α) - (1-α) l(0) - α l(1).
    fn chord(&self, point: usize, unit: usize) -> f64 {
        let (alpha, losses) = (self.grid.alphas[point], self.losses);
        losses[point][unit] - (1.0 - alpha) * losses[0][unit] - alpha * losses[self.grid.last()][unit]
    }

    /// Units known at all of `points`.
    fn known(&self, points: &[usize]) -> usize {
        points.iter().map(|&point| self.losses[point].len()).min().unwrap_or(0)
    }

    /// For each unit, the loss at the end minus that at the start.
    pub(super) fn slopes(&self) -> Vec<f64> {
        let [start, end] = [0, self.grid.last()];
        (0..self.known(&[start, end])).map(|unit| self.losses[end][unit] - self.losses[start][unit]).collect()
    }

    /// For each unit, the distance from the chord at the middle, called its bow.
    pub(super) fn bows(&self) -> Vec<f64> {
        (0..self.known(&self.grid.parabola())).map(|unit| self.chord(self.grid.middle(), unit)).collect()
    }

    /// For each unit, the distance at `point` from the parabola through the losses at the ends and the middle.
    pub(super) fn remainders(&self, point: usize) -> Vec<f64> {
        let (middle, share) = (self.grid.middle(), self.grid.share(point));
        let known = self.known(&self.grid.parabola()).min(self.known(&[point]));
        (0..known).map(|unit| self.chord(point, unit) - share * self.chord(middle, unit)).collect()
    }

    /// For each unit, the loss at `point` on that parabola.
    pub(super) fn parabola(&self, point: usize) -> Vec<f64> {
        let known = self.known(&self.grid.parabola());
        if self.grid.is_on_parabola(point) {
            return self.losses[point][..known].to_vec();
        }
        let (middle, last) = (self.grid.middle(), self.grid.last());
        let (alpha, share) = (self.grid.alphas[point], self.grid.share(point));
        let loss = |unit: usize| {
            let [start, end] = [self.losses[0][unit], self.losses[last][unit]];
            (1.0 - alpha) * start + alpha * end + share * self.chord(middle, unit)
        };
        (0..known).map(loss).collect()
    }
}
