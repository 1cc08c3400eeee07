//! 3x3 convolution with stride 1 and padding 1 by Winograd's minimal filtering, F(m x m, 3x3) (Lavin & Gray, 2016).
//!
//! An output tile of m x m is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, where d is the (m+2) x (m+2) tile of the input behind it
//! and g the filter. Over many tiles and channels the products ⊙ become (m+2)² matrix products. Gradients are the
//! adjoints: the input's is a convolution with turned filters, the filter's is Gᵀ [(Bᵀ d B)ᵀ (A dy Aᵀ)] G.

mod filters;
mod gradient;
mod tile;
mod transforms;

use std::marker::PhantomData;

use pulp::Arch;

use self::tile::Tile;
pub(super) use self::tile::{F2, F4};
use self::transforms::{Tiling, TransformOutput, transform};
use super::blocked::{FilterPanels, Layout, Product};
use super::input::ParamsBackward;
use super::method::{self, Method};
use super::scratch::grown;
use super::{ConvShape, Scratch};
use crate::matmul::Write;

/// Tiles whose transforms and products stay in a second-level cache, for not too many channels.
const TILES_IN_CACHE: usize = 36;
/// Elements of transformed filters that do not stay in a third-level cache.
const MANY_FILTERS: usize = 1 << 22;

/// The algorithm with tiles of OUT x OUT outputs.
pub(super) struct Winograd<const IN: usize, const OUT: usize, F>(PhantomData<F>);

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> Winograd<IN, OUT, F> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> Method for Winograd<IN, OUT, F> {
    fn fits(&self, shape: &ConvShape) -> bool {
        let ConvShape { groups, kernel, stride, padding, dilation, .. } = *shape;
        groups == 1 && kernel == [3, 3] && [stride, padding, dilation] == [[1, 1]; 3]
    }

    fn filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::<IN, OUT, F>::new(shape, false))
    }

    fn gradient_filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::<IN, OUT, F>::new(shape, true))
    }

    fn add_weight_gradient(&self, shape: &ConvShape, backward: ParamsBackward<'_>, dweight: &mut [f32]) {
        gradient::add::<IN, OUT, F>(shape, backward, dweight);
    }
}

/// Filters, transformed.
#[derive(Debug)]
struct Filters<const IN: usize, const OUT: usize, F> {
    /// Height and width of images on both sides.
    image: [usize; 2],
    from_channels: usize,
    to_channels: usize,
    /// Whether they are those of the gradient of the input: turned by half a turn, from outputs to inputs.
    turned: bool,
    panels: FilterPanels,
    tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> Filters<IN, OUT, F> {
    fn new(shape: ConvShape, turned: bool) -> Self {
        let ConvShape { in_channels, out_channels, input: image, .. } = shape;
        let (from_channels, to_channels) =
            if turned { (out_channels, in_channels) } else { (in_channels, out_channels) };
        let panels = FilterPanels::new(from_channels, to_channels, IN * IN);
        Self { image, from_channels, to_channels, turned, panels, tile: PhantomData }
    }
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> method::Filters for Filters<IN, OUT, F> {
    fn pack(&mut self, weight: &[f32]) {
        let channels = [self.from_channels, self.to_channels];
        filters::pack::<IN, OUT, F>(&mut self.panels, weight, channels, self.turned);
    }

    /// Images with about as many tiles as stay in a second-level cache, unless the filters are so many that reading them for each
    /// block would take longer.
    fn block_images(&self, images: usize, tiles: usize) -> usize {
        let tiles = if self.panels.len() > MANY_FILTERS { tiles } else { tiles.min(TILES_IN_CACHE) };
        method::images_of_block(images, Tiling::new(self.image, OUT).per_image(), tiles)
    }

    fn apply(&self, x: &[f32], y: &mut [f32], bias: &[f32], write: Write, scratch: &mut Scratch) {
        let tiling = Tiling::new(self.image, OUT);
        let (from, to) = (Layout::new(self.from_channels, IN * IN), Layout::new(self.to_channels, IN * IN));
        let image_len = self.image[0] * self.image[1] * self.to_channels;
        let tiles = y.len() / image_len * tiling.per_image();
        let Scratch { columns: inputs, products, .. } = scratch;
        let (inputs, products) = (grown(inputs, from.len(tiles)), grown(products, to.len(tiles)));
        transform::<IN, OUT, F>(tiling, self.from_channels, x, inputs, false);
        for element in 0..IN * IN {
            for panel in 0..self.panels.panels() {
                let terms = &[(element, self.panels.panel(panel, element))];
                let channels = self.panels.channels(panel);
                let work = Product { tiles, from, inputs, terms, to, channels, products, element };
                Arch::new().dispatch(work);
            }
        }
        for (index, image) in y.chunks_exact_mut(image_len).enumerate() {
            let (first_tile, tile) = (index * tiling.per_image(), PhantomData::<F>);
            let (channels, layout) = (self.to_channels, to);
            let work =
                TransformOutput { tiling, channels, products, layout, first_tile, bias, write, image, tile };
            Arch::new().dispatch(work);
        }
    }
}
