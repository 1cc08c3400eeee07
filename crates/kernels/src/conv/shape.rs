//! The shape of a convolution, and the sizes that follow from it.

/// The shape of a convolution. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Groups of channels that are convolved independently.
    pub groups: usize,
    /// Size of a filter.
    pub kernel: [usize; 2],
    /// Distance between outputs.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub padding: [usize; 2],
    /// Distance between a filter's elements.
    pub dilation: [usize; 2],
    /// Height and width of the input.
    pub input: [usize; 2],
}

/// An input pixel, an output pixel, and the number of the filter's element between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) tap: usize,
}

impl ConvShape {
    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let span = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            (self.input[axis] + 2 * self.padding[axis] - span) / self.stride[axis] + 1
        })
    }

    /// Elements of one input image.
    pub fn in_len(&self) -> usize {
        self.input[0] * self.input[1] * self.in_channels
    }

    /// Pixels of one output image.
    pub fn out_pixels(&self) -> usize {
        let [height, width] = self.output();
        height * width
    }

    /// Elements of one output image.
    pub fn out_len(&self) -> usize {
        self.out_pixels() * self.out_channels
    }

    /// Number of weights.
    pub fn weight_len(&self) -> usize {
        self.taps() * self.group_in() * self.out_channels
    }

    /// The fewest multiply-adds of one image that an algorithm's products need: those of the definition without the padding, or
    /// those of Winograd's F(4x4, 3x3) and F(2x2, 3x3) (Lavin & Gray, 2016, arXiv 1509.09308), which multiply (m + 2)² numbers
    /// for m² outputs where the definition takes 9 m².
    pub fn least_multiply_adds(&self) -> usize {
        let fits = self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1];
        let of_tiles = |m: usize| {
            let tiles: usize = self.output().iter().map(|&side| side.div_ceil(m)).product();
            tiles * (m + 2).pow(2) * self.group_in() * self.out_channels
        };
        let winograd = [2, 4].into_iter().filter(|_| fits).map(of_tiles);
        let inside = self.links_along(0).count() * self.links_along(1).count();
        winograd.fold(inside * self.group_in() * self.out_channels, usize::min)
    }

    /// Every pair of an input and an output pixel with a filter's element between them.
    pub(super) fn links(&self) -> Vec<Link> {
        let (width, columns) = (self.input[1], self.output()[1]);
        let down = self.links_along(0);
        let links = down.flat_map(|down| self.links_along(1).map(move |across| (down, across)));
        let link = |(down, across): (Link, Link)| Link {
            from: down.from * width + across.from,
            to: down.to * columns + across.to,
            tap: down.tap * self.kernel[1] + across.tap,
        };
        links.map(link).collect()
    }

    /// Those along an axis.
    fn links_along(&self, axis: usize) -> impl Iterator<Item = Link> {
        let places =
            (0..self.output()[axis]).flat_map(move |to| (0..self.kernel[axis]).map(move |tap| (to, tap)));
        let link = move |(to, tap): (usize, usize)| {
            let place = to * self.stride[axis] + tap * self.dilation[axis];
            let from = place.checked_sub(self.padding[axis])?;
            (from < self.input[axis]).then_some(Link { from, to, tap })
        };
        places.filter_map(link)
    }

    /// Elements of a filter in one channel.
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Input channels of a group.
    pub(super) fn group_in(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Output channels of a group.
    pub(super) fn group_out(&self) -> usize {
        self.out_channels / self.groups
    }
}
