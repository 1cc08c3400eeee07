//! Convolution tap by tap, for images of few pixels: every input pixel times the filters' element between it and every output
//! pixel. Padding is not multiplied, nor are windows gathered or tiles transformed. No groups.

use pulp::Arch;
use rayon::prelude::*;

use super::blocked::{FilterPanels, GROUP, Layout, Product};
use super::input::{ParamsBackward, normalized};
use super::method::{self, Method, images_of_block, place_of_filter};
use super::scratch::grown;
use super::shape::Link;
use super::{ConvShape, Scratch};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};
use crate::memory::Reused;

/// The algorithm.
pub(super) struct Taps;

impl Method for Taps {
    fn fits(&self, shape: &ConvShape) -> bool {
        shape.groups == 1
    }

    fn filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::new(shape, false))
    }

    fn gradient_filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::new(shape, true))
    }

    fn add_weight_gradient(&self, shape: &ConvShape, backward: ParamsBackward<'_>, dweight: &mut [f32]) {
        let (taps, from, to) = (shape.taps(), shape.in_channels, shape.out_channels);
        let mut held = vec![];
        let (x, dy) = (normalized(backward.norm, backward.x, &mut held), backward.dy);
        let images = x.len() / shape.in_len();
        let links = shape.links();
        let mut sums = Reused::new(taps * from * to);
        sums.par_chunks_exact_mut(from * to).enumerate().for_each(|(tap, sums)| {
            let mut write = Write::Replace;
            for link in links.iter().filter(|link| link.tap == tap) {
                let x = Matrix::new(&x[link.from * from..], images, from, shape.in_len());
                let dy = Matrix::new(&dy[link.to * to..], images, to, shape.out_len());
                matmul(dy.transposed(), x, &mut MatrixMut::new(sums, to, from, from), write);
                write = Write::Add;
            }
            if write == Write::Replace {
                sums.fill(0.0);
            }
        });
        dweight.par_chunks_exact_mut(from * taps).enumerate().for_each(|(to_channel, filters)| {
            for (from_channel, filter) in filters.chunks_exact_mut(taps).enumerate() {
                for (tap, weight) in filter.iter_mut().enumerate() {
                    *weight += sums[(tap * to + to_channel) * from + from_channel];
                }
            }
        });
    }
}

/// The filters of a point; an image is a tile whose elements are its pixels.
#[derive(Debug)]
struct Filters {
    from_channels: usize,
    to_channels: usize,
    /// Pixels of an image on both sides.
    pixels: [usize; 2],
    /// By output pixel.
    links: Vec<Vec<Link>>,
    /// Elements of a filter.
    taps: usize,
    /// Whether they are the filters of the gradient of the input, from outputs to inputs.
    turned: bool,
    panels: FilterPanels,
}

impl Filters {
    fn new(shape: ConvShape, turned: bool) -> Self {
        let (mut channels, mut links) = ([shape.in_channels, shape.out_channels], shape.links());
        let mut pixels = [shape.input[0] * shape.input[1], shape.out_pixels()];
        if turned {
            channels.reverse();
            pixels.reverse();
            links.iter_mut().for_each(|link| std::mem::swap(&mut link.from, &mut link.to));
        }
        let of_pixel = |to: usize| links.iter().filter(|link| link.to == to).copied().collect();
        let links = (0..pixels[1]).map(of_pixel).collect();
        let ([from_channels, to_channels], taps) = (channels, shape.taps());
        let panels = FilterPanels::new(from_channels, to_channels, taps);
        Self { from_channels, to_channels, pixels, links, taps, turned, panels }
    }
}

impl method::Filters for Filters {
    fn pack(&mut self, weight: &[f32]) {
        let Self { from_channels, to_channels, taps, turned, .. } = *self;
        self.panels.fill(|panel| {
            // a few input channels at a time, so that what is written stays in the first-level cache
            const ROWS: usize = 16;
            for first in (0..panel.rows).step_by(ROWS) {
                for column in 0..panel.width {
                    let to = panel.first + column;
                    for from in first..panel.rows.min(first + ROWS) {
                        let inside = from < from_channels && to < to_channels;
                        let place = place_of_filter([from_channels, to_channels], from, to, turned);
                        for tap in 0..taps {
                            let at = panel.at(tap, from) + column;
                            panel.values[at] = if inside { weight[place * taps + tap] } else { 0.0 };
                        }
                    }
                }
            }
        });
    }

    /// As many images as other algorithms have tiles.
    fn block_images(&self, images: usize, tiles: usize) -> usize {
        images_of_block(images, 1, tiles)
    }

    fn apply(&self, x: &[f32], y: &mut [f32], bias: &[f32], write: Write, scratch: &mut Scratch) {
        let [from_pixels, to_pixels] = self.pixels;
        let images = x.len() / (from_pixels * self.from_channels);
        let (from, to) =
            (Layout::new(self.from_channels, from_pixels), Layout::new(self.to_channels, to_pixels));
        let Scratch { columns: inputs, products, .. } = scratch;
        let (inputs, products) = (grown(inputs, from.len(images)), grown(products, to.len(images)));
        for (index, x) in x.chunks_exact(self.from_channels).enumerate() {
            let (image, pixel) = (index / from_pixels, index % from_pixels);
            for (group, x) in x.chunks(GROUP).enumerate() {
                let line = &mut inputs[from.at(image, group, pixel)..][..GROUP];
                line[..x.len()].copy_from_slice(x);
                line[x.len()..].fill(0.0);
            }
        }
        for panel in 0..self.panels.panels() {
            for (element, links) in self.links.iter().enumerate() {
                let term = |link: &Link| (link.from, self.panels.panel(panel, link.tap));
                let terms: &Vec<(usize, &[f32])> = &links.iter().map(term).collect();
                let (tiles, channels) = (images, self.panels.channels(panel));
                Arch::new().dispatch(Product { tiles, from, inputs, terms, to, channels, products, element });
            }
        }
        for (index, y) in y.chunks_exact_mut(self.to_channels).enumerate() {
            let (image, pixel) = (index / to_pixels, index % to_pixels);
            for (group, y) in y.chunks_mut(GROUP).enumerate() {
                let line = &products[to.at(image, group, pixel)..][..y.len()];
                let bias = bias.get(group * GROUP..).unwrap_or_default();
                finish(line, bias, y, write);
            }
        }
    }
}

/// y = (or +=) x + the bias, which may be empty.
fn finish(x: &[f32], bias: &[f32], y: &mut [f32], write: Write) {
    let biased = |i: usize| if bias.is_empty() { x[i] } else { bias[i] + x[i] };
    match write {
        Write::Replace => (0..y.len()).for_each(|i| y[i] = biased(i)),
        Write::Add => (0..y.len()).for_each(|i| y[i] += biased(i)),
    }
}
