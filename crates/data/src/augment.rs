//! Random crops and flips, as used by the paper's authors.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Random changes of a training image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Number of black pixels added on each side before taking a random crop of the original size; 0 for no crop.
    #[serde(default)]
    pub crop_padding: usize,
    /// Whether to mirror a random half of the images left to right.
    #[serde(default)]
    pub flip: bool,
}

/// The change of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Offset of the crop from the image's corner, down and across.
    pub(crate) shift: [isize; 2],
    pub(crate) flip: bool,
}

impl Augment {
    /// Whether images are left unchanged.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Draws a random change of one image.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Change {
        let most = 2 * self.crop_padding;
        let mut place = || rng.gen_range(0..=most) as isize - self.crop_padding as isize;
        let shift = if most == 0 { [0, 0] } else { [place(), place()] };
        Change { shift, flip: self.flip && rng.r#gen() }
    }
}

impl Change {
    /// Writes every pixel of a plane of `width` columns, converted by `convert`; `outside` is used outside the image.
    pub(crate) fn plane(
        self,
        bytes: &[u8],
        width: usize,
        out: &mut [f32],
        outside: f32,
        convert: impl Fn(&[u8], &mut [f32]),
    ) {
        let height = bytes.len() / width;
        let [down, across] = self.shift;
        // the columns of the image inside the crop, and their position in it
        let first = across.clamp(0, width as isize) as usize;
        let to = (-across).clamp(0, width as isize) as usize;
        let visible = (width - first).min(width - to);
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let row = row as isize + down;
            if row < 0 || row >= height as isize {
                out.fill(outside);
                continue;
            }
            let bytes = &bytes[row as usize * width..][..width];
            out[..to].fill(outside);
            out[to + visible..].fill(outside);
            convert(&bytes[first..first + visible], &mut out[to..to + visible]);
            if self.flip {
                out.reverse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn changed(shift: [isize; 2], flip: bool) -> Vec<f32> {
        let mut out = vec![f32::NAN; 6];
        let copy = |from: &[u8], to: &mut [f32]| to.iter_mut().zip(from).for_each(|(to, &x)| *to = x.into());
        Change { shift, flip }.plane(&[1, 2, 3, 4, 5, 6], 3, &mut out, 0.0, copy);
        out
    }

    #[test]
    fn crops_move_and_flips_mirror() {
        assert_eq!(changed([0, 0], false), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(changed([0, 0], true), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(changed([1, 0], false), [4.0, 5.0, 6.0, 0.0, 0.0, 0.0]);
        assert_eq!(changed([-1, 1], false), [0.0, 0.0, 0.0, 2.0, 3.0, 0.0]);
        assert_eq!(changed([0, -2], true), [1.0, 0.0, 0.0, 4.0, 0.0, 0.0]);
        assert_eq!(changed([9, 9], false), [0.0; 6]);
    }

    #[test]
    fn every_place_and_both_sides_come_up_equally_often() {
        let augment = Augment { crop_padding: 1, flip: true };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<Change> = (0..18_000).map(|_| augment.draw(&mut rng)).collect();
        for shift in [-1, 0, 1].into_iter().flat_map(|down| [-1, 0, 1].map(|across| [down, across])) {
            let count = draws.iter().filter(|change| change.shift == shift).count();
            // 2,000 +- 42
            assert!(count.abs_diff(2000) < 200, "{shift:?}: {count}");
        }
        assert!(draws.iter().filter(|change| change.flip).count().abs_diff(9000) < 300);
        assert_eq!(Augment::default().draw(&mut rng), Change::default());
    }
}
