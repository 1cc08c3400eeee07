//! Names of the classes of published sets, in the order of the labels.

/// CIFAR-10's.
pub(crate) const CIFAR_10: &str = "airplane automobile bird cat deer dog frog horse ship truck";

/// CIFAR-100's fine labels.
pub(crate) const CIFAR_100: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus \
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur \
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster \
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree \
    plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake \
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle \
    wardrobe whale willow_tree wolf woman worm";

/// Fashion-MNIST's.
pub(crate) const FASHION: &str = "t-shirt trouser pullover dress coat sandal shirt sneaker bag ankle_boot";

/// Digits'.
pub(crate) const DIGITS: &str = "0 1 2 3 4 5 6 7 8 9";

/// EMNIST's letters; each class contains upper and lower case.
pub(crate) const LETTERS: &str = "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z";

/// EMNIST's lowercase letters that differ in shape from the uppercase ones.
pub(crate) const SMALL_APART: &str = "a b d e f g h n q r t";

/// All lowercase letters.
pub(crate) const SMALL: &str = "a b c d e f g h i j k l m n o p q r s t u v w x y z";

/// The names in several lists, concatenated.
pub(crate) fn names(lists: &[&str]) -> Vec<String> {
    lists.iter().flat_map(|list| list.split_whitespace()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_has_its_number_of_classes() {
        let counts = [
            (&[CIFAR_10][..], 10),
            (&[CIFAR_100], 100),
            (&[FASHION], 10),
            (&[DIGITS, LETTERS, SMALL_APART], 47),
            (&[DIGITS, LETTERS, SMALL], 62),
        ];
        for (lists, count) in counts {
            let mut names = names(lists);
            assert_eq!(names.len(), count, "{lists:?}");
            // CIFAR's labels are in alphabetical order
            assert_eq!(names.is_sorted(), !lists.contains(&FASHION), "{lists:?}");
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count, "{lists:?}");
        }
        assert_eq!(names(&[CIFAR_100])[19], "cattle");
    }
}
