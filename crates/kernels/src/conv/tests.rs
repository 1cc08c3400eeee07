use super::*;
use crate::batch_norm::{Moments, NormBackward, Normalization};
use crate::matmul::Write;
use crate::pool::{Extremes, PoolShape};
use crate::rows::Threads;
use crate::test_support::{differences, noise, norm_error, wide};

/// The definition, in f64 and channels first.
fn reference(shape: &ConvShape, images: usize, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let ([rows, columns], [height, width]) = (shape.output(), shape.input);
    let (group_in, group_out) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let mut y = vec![];
    for image in 0..images {
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            for out in 0..shape.out_channels {
                let mut sum = bias.get(out).copied().unwrap_or(0.0);
                for (i, j) in (0..shape.kernel[0]).flat_map(|i| (0..shape.kernel[1]).map(move |j| (i, j))) {
                    let r = (row * shape.stride[0] + i * shape.dilation[0]).wrapping_sub(shape.padding[0]);
                    let c = (column * shape.stride[1] + j * shape.dilation[1]).wrapping_sub(shape.padding[1]);
                    if r >= height || c >= width {
                        continue;
                    }
                    for channel in 0..group_in {
                        let from = (out / group_out) * group_in + channel;
                        let w =
                            weight[((out * group_in + channel) * shape.kernel[0] + i) * shape.kernel[1] + j];
                        sum += w * x[((image * height + r) * width + c) * shape.in_channels + from];
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

fn shapes() -> Vec<ConvShape> {
    let plain = ConvShape {
        in_channels: 6,
        out_channels: 8,
        groups: 1,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
        input: [7, 6],
    };
    vec![
        plain,
        ConvShape { in_channels: 16, out_channels: 16, input: [8, 8], ..plain },
        ConvShape { in_channels: 16, out_channels: 32, input: [9, 5], stride: [2, 2], ..plain },
        ConvShape { in_channels: 20, out_channels: 35, input: [2, 2], ..plain },
        ConvShape { in_channels: 32, out_channels: 48, input: [4, 4], ..plain },
        ConvShape { in_channels: 16, out_channels: 16, input: [13, 3], ..plain },
        ConvShape { kernel: [1, 1], padding: [0, 0], ..plain },
        ConvShape { kernel: [1, 1], padding: [0, 0], stride: [2, 2], ..plain },
        ConvShape { groups: 2, stride: [2, 1], ..plain },
        ConvShape { groups: 6, out_channels: 6, kernel: [5, 3], padding: [2, 0], ..plain },
        ConvShape { dilation: [2, 1], padding: [2, 3], ..plain },
        ConvShape { in_channels: 3, out_channels: 17, input: [6, 37], ..plain },
    ]
}

/// The algorithms that fit a shape, with the relative error each is allowed: sums of up to 432 products round to about
/// 1e-6, and Winograd's transforms amplify rounding, F(4x4) by about ten.
fn algorithms(shape: &ConvShape) -> Vec<(Algorithm, f64)> {
    let fits = shape.kernel == [3, 3]
        && shape.output() == shape.input
        && shape.groups == 1
        && shape.dilation == [1, 1];
    let winograd = [(Algorithm::Winograd2, 2e-6), (Algorithm::Winograd4, 1e-5)].into_iter().filter(|_| fits);
    let plain = [(Algorithm::Direct, 1e-6), (Algorithm::Taps, 1e-6)];
    let direct = plain.into_iter().filter(|_| shape.groups == 1);
    [(Algorithm::Columns, 1e-6)].into_iter().chain(direct).chain(winograd).collect()
}

#[test]
fn forward_agrees_with_the_definition() {
    for shape in shapes() {
        let images = 5;
        let (x, weight) = (noise(1, images * shape.in_len()), noise(2, shape.weight_len()));
        for bias in [noise(3, shape.out_channels), vec![]] {
            let expected = reference(&shape, images, &wide(&x), &wide(&weight), &wide(&bias));
            for (algorithm, allowed) in algorithms(&shape) {
                let mut packed = PackedConv::new(shape, algorithm);
                packed.pack(&weight, &bias);
                let mut y = vec![f32::NAN; images * shape.out_len()];
                packed.forward(&x, &mut y, Fusion::NONE, None, &mut Scratch::default());
                let error = norm_error(&y, &expected);
                assert!(error < allowed, "{shape:?} {algorithm:?}: {error:e}");
                packed.forward_parallel(&x, &mut y, Fusion::NONE, None);
                assert!(norm_error(&y, &expected) < allowed, "{shape:?} {algorithm:?}");
            }
        }
    }
}

#[test]
fn backward_agrees_with_central_differences() {
    for shape in shapes().into_iter().filter(|shape| shape.weight_len() < 3000) {
        let images = 2;
        let (x, weight) = (noise(1, images * shape.in_len()), noise(2, shape.weight_len()));
        let (bias, dy) = (noise(3, shape.out_channels), noise(4, images * shape.out_len()));
        let value = |x: &[f64], weight: &[f64], bias: &[f64]| -> f64 {
            reference(&shape, images, x, weight, bias).iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
        };
        let (x_64, weight_64, bias_64) = (wide(&x), wide(&weight), wide(&bias));
        // the function is linear in each argument: differences are exact but for f64 rounding
        let expected_dx = differences(&x_64, |x| value(x, &weight_64, &bias_64));
        let expected_dweight = differences(&weight_64, |w| value(&x_64, w, &bias_64));
        let expected_dbias = differences(&bias_64, |b| value(&x_64, &weight_64, b));
        for (algorithm, allowed) in algorithms(&shape) {
            let mut dx = vec![f32::NAN; x.len()];
            InputGradient::new(shape, algorithm, &weight).write(&dy, &mut dx, Write::Replace);
            let (mut dweight, mut dbias) = (vec![0.0; weight.len()], vec![0.0; bias.len()]);
            backward_params(
                &shape,
                algorithm,
                ParamsBackward { x: &x, norm: None, dy: &dy },
                &mut dweight,
                &mut dbias,
            );
            for (found, expected) in
                [(dx, &expected_dx), (dweight, &expected_dweight), (dbias, &expected_dbias)]
            {
                let error = norm_error(&found, expected);
                assert!(error < allowed, "{shape:?} {algorithm:?}: {error:e}");
            }
        }
    }
}

#[test]
fn gradients_of_many_channels_agree_with_the_definition() {
    for input in [[5, 6], [2, 2], [9, 4]] {
        let shape = ConvShape { in_channels: 80, out_channels: 72, input, ..shapes()[0] };
        let images = 7;
        let (x, weight) = (noise(1, images * shape.in_len()), noise(2, shape.weight_len()));
        let dy = noise(3, images * shape.out_len());
        let (mut expected_dx, mut expected_dweight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        for image in 0..images {
            for link in shape.links() {
                for (from, to) in (0..80).flat_map(|from| (0..72).map(move |to| (from, to))) {
                    let x_at = image * shape.in_len() + link.from * 80 + from;
                    let w_at = (to * 80 + from) * 9 + link.tap;
                    let dy = f64::from(dy[image * shape.out_len() + link.to * 72 + to]);
                    expected_dx[x_at] += dy * f64::from(weight[w_at]);
                    expected_dweight[w_at] += dy * f64::from(x[x_at]);
                }
            }
        }
        for (algorithm, allowed) in algorithms(&shape) {
            let mut dx = vec![f32::NAN; x.len()];
            InputGradient::new(shape, algorithm, &weight).write(&dy, &mut dx, Write::Replace);
            let mut dweight = vec![0.0; weight.len()];
            let backward = ParamsBackward { x: &x, norm: None, dy: &dy };
            backward_params(&shape, algorithm, backward, &mut dweight, &mut []);
            for (found, expected) in [(dx, &expected_dx), (dweight, &expected_dweight)] {
                let error = norm_error(&found, expected);
                assert!(error < allowed, "{shape:?} {algorithm:?}: {error:e}");
            }
        }
    }
}

#[test]
fn threads_do_not_change_bits() {
    let shape = shapes()[1];
    let images = 11;
    let weight = noise(7, shape.weight_len());
    let (x, dy) = (noise(1, images * shape.in_len()), noise(4, images * shape.out_len()));
    for (algorithm, _) in algorithms(&shape) {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            let mut dweight = vec![0.0; shape.weight_len()];
            pool.install(|| {
                let mut packed = PackedConv::new(shape, algorithm);
                packed.pack(&weight, &[]);
                packed.forward_parallel(&x, &mut y, Fusion::NONE, None);
                InputGradient::new(shape, algorithm, &weight).write(&dy, &mut dx, Write::Add);
                backward_params(
                    &shape,
                    algorithm,
                    ParamsBackward { x: &x, norm: None, dy: &dy },
                    &mut dweight,
                    &mut [],
                );
            });
            (y, dx, dweight)
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(3));
    }
}

/// A norm around a convolution, fused, is the norm and the convolution one after the other.
#[test]
fn a_fused_norm_equals_one_on_its_own() {
    for shape in shapes() {
        let images = 3;
        let (x, weight) = (noise(1, images * shape.in_len()), noise(2, shape.weight_len()));
        let (bias, dy) = (noise(3, shape.out_channels), noise(4, images * shape.out_len()));
        let before = noise(5, images * shape.out_len());
        let (scale, shift) = (noise(6, shape.in_channels), noise(7, shape.in_channels));
        let moments = Moments::of(&x, shape.in_channels, Threads::One);
        let (mean, var) = (moments.mean(), moments.var());
        let norm = Normalization { mean: &mean, var: &var, scale: &scale, shift: &shift, eps: 1e-5 };
        let backward = NormBackward::new(norm, true, true);
        let mut z = vec![0.0; x.len()];
        backward.normalizer().apply(&x, &mut z);
        for (algorithm, _) in algorithms(&shape) {
            let mut packed = PackedConv::new(shape, algorithm);
            packed.pack(&weight, &bias);
            let (mut apart, mut fused, mut alone) = (before.clone(), before.clone(), before.clone());
            let add = Fusion { norm: None, write: Write::Add };
            packed.forward_parallel(&z, &mut apart, add, None);
            let fusion = Fusion { norm: Some(backward.normalizer()), ..add };
            let mut measured = Moments::default();
            packed.forward_parallel(&x, &mut fused, fusion, Some(&mut measured));
            assert_eq!(apart, fused, "{shape:?} {algorithm:?}");
            let mut moments = Moments::new(shape.out_channels);
            packed.forward(&x, &mut alone, fusion, Some(&mut moments), &mut Scratch::default());
            let mut of_pooled = Moments::new(shape.out_channels);
            let [height, width] = shape.output();
            let pool = PoolShape {
                channels: shape.out_channels,
                kernel: [height, 2.min(width)],
                stride: [height, 2.min(width)],
                padding: [0, 0],
                input: [height, width],
            };
            let extremes = Extremes::new(pool, &noise(8, shape.out_channels));
            let mut whole = vec![0.0; before.len()];
            let norm = Some(backward.normalizer());
            packed.forward(&x, &mut whole, Fusion { norm, ..Fusion::NONE }, None, &mut Scratch::default());
            let mut expected = vec![0.0; images * pool.out_len()];
            extremes.apply(&whole, &mut expected);
            let mut pooled = vec![f32::NAN; expected.len()];
            let scratch = &mut Scratch::default();
            packed.forward_pooled(&x, &mut pooled, norm, &extremes, Some(&mut of_pooled), scratch);
            assert_eq!(pooled, expected, "{shape:?} {algorithm:?}");
            let of_whole = Moments::of(&whole, shape.out_channels, Threads::One);
            assert!(norm_error(&of_pooled.mean(), &wide(&of_whole.mean())) < 1e-5);
            assert!(norm_error(&of_pooled.var(), &wide(&of_whole.var())) < 1e-5);
            let expected = Moments::of(&apart, shape.out_channels, Threads::One);
            for found in [measured, moments] {
                assert!(norm_error(&found.mean(), &wide(&expected.mean())) < 1e-5);
                assert!(norm_error(&found.var(), &wide(&expected.var())) < 1e-5);
            }

            let mut apart = vec![0.0; weight.len()];
            let mut fused = apart.clone();
            let separate = ParamsBackward { x: &z, norm: None, dy: &dy };
            backward_params(&shape, algorithm, separate, &mut apart, &mut []);
            let together = ParamsBackward { x: &x, norm: Some(backward.normalizer()), dy: &dy };
            backward_params(&shape, algorithm, together, &mut fused, &mut []);
            assert_eq!(apart, fused, "{shape:?} {algorithm:?}");

            let gradient = InputGradient::new(shape, algorithm, &weight);
            let (mut apart, mut fused) = (vec![0.0; x.len()], vec![f32::NAN; x.len()]);
            gradient.write(&dy, &mut apart, Write::Replace);
            let expected = backward.sums(&x, &mut apart);
            let sums = gradient.write_through(&backward, &dy, &x, &mut fused);
            assert_eq!(apart, fused, "{shape:?} {algorithm:?}");
            let narrow = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect::<Vec<f32>>();
            assert!(norm_error(&narrow(&sums.scale), &expected.scale) < 1e-5);
            assert!(norm_error(&narrow(&sums.shift), &expected.shift) < 1e-5);
        }
    }
}
