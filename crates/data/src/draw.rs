//! Random choices of images. Their seeds are independent of the experiment's, so runs with different seeds use the same samples.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::places::Places;
use crate::{DataError, Images};

/// Seed of [`stratified`].
const SHARE_SEED: u64 = 1;
/// Seed of [`mixed`].
const ORDER_SEED: u64 = 2;

/// The numbers below `len` in a random order that depends only on `len`.
pub(crate) fn mixed(len: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(ORDER_SEED));
    order
}

/// The images of `places` by class, each class in a random order.
fn shuffled_classes(images: &Images, places: &Places, seed: u64) -> (Vec<Vec<usize>>, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut classes: Vec<Vec<usize>> = vec![vec![]; images.classes.len()];
    places.iter().for_each(|image| classes[usize::from(images.labels[image])].push(image));
    classes.iter_mut().for_each(|class| class.shuffle(&mut rng));
    (classes, rng)
}

/// `size` images of `places`, drawn at random with `seed`, in the official order: equally many of each class, as far as the
/// class has enough.
pub(crate) fn balanced(
    images: &Images,
    places: &Places,
    size: usize,
    seed: u64,
) -> Result<Vec<usize>, DataError> {
    if size == 0 || size > places.len() {
        let expected = format!("1 to {}, the training images", places.len());
        return Err(DataError::value("subset", size, expected));
    }
    let (classes, mut rng) = shuffled_classes(images, places, seed);
    // one image of each class per round; the classes of the last, incomplete round are drawn at random
    let mut chosen = Vec::with_capacity(size);
    let mut turn = 0;
    while chosen.len() < size {
        let mut round: Vec<usize> = classes.iter().filter_map(|class| class.get(turn).copied()).collect();
        round.shuffle(&mut rng);
        chosen.extend(round.into_iter().take(size - chosen.len()));
        turn += 1;
    }
    chosen.sort_unstable();
    Ok(chosen)
}

/// About `size` images of `places`, drawn at random, in the official order: each class has its share, rounded such that the
/// shares add up to `size`. `kept` images of each class are not drawn, so the result is shorter if classes are that small.
pub(crate) fn stratified(images: &Images, places: &Places, size: usize, kept: usize) -> Vec<usize> {
    let (classes, _) = shuffled_classes(images, places, SHARE_SEED);
    let total = places.len();
    let quota = |class: &Vec<usize>| size * class.len() / total;
    let mut counts: Vec<usize> = classes.iter().map(quota).collect();
    // the largest remainders are rounded up
    let mut by_remainder: Vec<usize> = (0..classes.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(size * classes[class].len() % total));
    let missing = size - counts.iter().sum::<usize>();
    by_remainder[..missing].iter().for_each(|&class| counts[class] += 1);
    let parts = classes
        .iter()
        .zip(counts)
        .map(|(class, count)| &class[..count.min(class.len().saturating_sub(kept))]);
    let mut chosen: Vec<usize> = parts.flatten().copied().collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn images(labels: Vec<u16>) -> Images {
        let classes = (0..=*labels.iter().max().unwrap()).map(|label| label.to_string()).collect();
        let pixels = vec![0; labels.len()];
        Images { pixels, labels, shape: [1, 1, 1], classes, max: 1, official: None, remarks: vec![] }
    }

    fn count(images: &Images, chosen: &[usize], class: u16) -> usize {
        chosen.iter().filter(|&&index| images.labels[index] == class).count()
    }

    #[test]
    fn a_subset_is_balanced_and_a_function_of_its_seed() {
        let images = images((0..100).map(|i| u16::from(i % 10 == 0)).collect());
        let draw = |size, seed| balanced(&images, &Places::Range(0..90), size, seed).unwrap();
        let chosen = draw(13, 1);
        assert_eq!(chosen.len(), 13);
        assert!(
            (6..=7).contains(&count(&images, &chosen, 1)) && chosen.windows(2).all(|pair| pair[0] < pair[1])
        );
        // the rarer class has only nine images
        assert_eq!(count(&images, &draw(40, 1), 1), 9);
        assert_eq!(chosen, draw(13, 1));
        assert_ne!(chosen, draw(13, 2));
        assert!(balanced(&images, &Places::Range(0..90), 91, 1).is_err());
    }

    #[test]
    fn a_share_has_as_much_of_each_class_as_the_whole() {
        // 100 cats, then 20 dogs: a sixth of each is 16.7 and 3.3
        let images = images((0..120).map(|i| u16::from(i >= 100)).collect());
        let chosen = stratified(&images, &Places::Range(0..120), 20, 1);
        assert_eq!((count(&images, &chosen, 0), count(&images, &chosen, 1)), (17, 3));
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        // drawn at random, not the last ones
        assert!(chosen[0] < 50);
    }

    #[test]
    fn the_mixed_order_has_no_trace_of_the_classes() {
        // class by class, as Tiny ImageNet is stored: in chunks of 100 of 10 classes, a class has 10 +- 3 samples
        let order = mixed(1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        for chunk in order.chunks(100) {
            for class in 0..10 {
                let n = chunk.iter().filter(|&&index| index / 100 == class).count();
                assert!((1..=22).contains(&n), "{n} of class {class}");
            }
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_and_leave_what_is_kept_of_each_class(
            labels in prop::collection::vec(0u16..5, 1..60), size in 0usize..60, kept in 0usize..2,
        ) {
            let images = images(labels);
            let size = size.min(images.len());
            let places = Places::Range(0..images.len());
            let chosen = stratified(&images, &places, size, kept);
            prop_assert!(chosen.len() <= size && (kept > 0 || chosen.len() == size));
            for class in 0..5 {
                let (all, taken) = (count(&images, &(0..images.len()).collect::<Vec<_>>(), class), count(&images, &chosen, class));
                let share = size as f64 * all as f64 / images.len() as f64;
                prop_assert!((taken as f64 - share).abs() < 1.0 || taken + kept == all || all == 0);
                prop_assert!(taken + kept.min(all) <= all);
            }
        }
    }
}
