//! Divides a set into training and validation images.

use std::ops::Range;

use crate::draw::stratified;
use crate::part::Part;
use crate::places::Places;
use crate::{DataError, Images, Official, Rest};

/// The two parts of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Division {
    pub(crate) train: Places,
    pub(crate) valid: Places,
}

impl Division {
    /// The parts given by the user, or else those of the authors, or else a sixth of the images for validation, stratified by
    /// class, and all others for training.
    pub(crate) fn new(
        images: &Images,
        train: &Option<Part>,
        valid: &Option<Part>,
    ) -> Result<Self, DataError> {
        let total = images.len();
        let official = images.official.filter(|official| official.train < total);
        let named = |key, part: &Option<Part>| {
            part.as_ref().map(|part| range(key, part, total, official).map(Places::Range)).transpose()
        };
        let (train, valid) = (named("train", train)?, named("valid", valid)?);
        let share = |places: &Places, kept: usize| {
            let size = (total / 6).clamp(1, places.len().max(1));
            Places::List(if places.len() == 0 { vec![] } else { stratified(images, places, size, kept) })
        };
        let Self { train, valid } = match (train, valid, official) {
            (Some(train), Some(valid), _) => Self { train, valid },
            (train, valid, Some(official)) => Self {
                train: train.unwrap_or(Places::Range(0..official.train)),
                valid: valid.unwrap_or(Places::Range(official.train..total)),
            },
            // the training images were given, so all others may be used for validation
            (Some(train), None, None) => Self { valid: share(&train.others(total), 0), train },
            (None, Some(valid), None) => Self { train: valid.others(total), valid },
            (None, None, None) => {
                // at least one image of each class is used for training
                let valid = share(&Places::Range(0..total), 1);
                Self { train: valid.others(total), valid }
            }
        };
        if let (Places::Range(train), Places::Range(valid)) = (&train, &valid)
            && train.start < valid.end
            && valid.start < train.end
        {
            let found = format!("images {}..{}", valid.start, valid.end);
            let expected =
                format!("images that are not in the training part, {}..{}", train.start, train.end);
            return Err(DataError::value("valid", found, expected));
        }
        if valid.len() == 0 {
            let found = format!("nothing ({} of {total} images are for training)", train.len());
            let expected = "images to validate on: specify them, or use fewer for training";
            return Err(DataError::value("valid", found, expected));
        }
        if train.len() == 0 {
            let found = format!("nothing ({} of {total} images are for validation)", valid.len());
            return Err(DataError::value("train", found, "images to train on: use fewer for validation"));
        }
        Ok(Self { train, valid })
    }
}

/// The images that `part` names.
fn range(
    key: &'static str,
    part: &Part,
    total: usize,
    official: Option<Official>,
) -> Result<Range<usize>, DataError> {
    match (part.clone(), official) {
        (Part::Range([first, end]), _) if first < end && end <= total => Ok(first..end),
        (Part::Range([first, end]), _) => {
            let expected =
                format!("[first, end] with first < end, at most {total} (the total number of images)");
            Err(DataError::value(key, format!("[{first}, {end}]"), expected))
        }
        (Part::Test, Some(Official { train, rest: Rest::Test })) if key == "valid" => Ok(train..total),
        (Part::Test, _) => {
            Err(DataError::value(key, "\"test\"", "a number of images or a range [first, end]"))
        }
        // at least one image is left for the other part
        (Part::Count(count), _) if count == 0 || count >= total => {
            let expected = format!("1 to {} ({total} images in total)", total.saturating_sub(1));
            Err(DataError::value(key, count, expected))
        }
        (Part::Count(count), _) if key == "train" => Ok(0..count),
        (Part::Count(count), _) => Ok(total - count..total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(labels: &[u16], train: Option<Part>, valid: Option<Part>) -> Result<Division, String> {
        let images = Images {
            pixels: vec![0; labels.len()],
            labels: labels.to_vec(),
            shape: [1, 1, 1],
            classes: vec!["a".into(), "b".into()],
            max: 1,
            official: None,
            remarks: vec![],
        };
        Division::new(&images, &train, &valid).map_err(|error| error.to_string())
    }

    fn classes(labels: &[u16], places: &Places) -> [usize; 2] {
        [0, 1].map(|class| places.iter().filter(|&image| labels[image] == class).count())
    }

    #[test]
    fn without_an_official_split_each_part_has_its_share_of_each_class() {
        let labels: Vec<u16> = (0..120).map(|i| u16::from(i >= 100)).collect();
        let Division { train, valid } = divided(&labels, None, None).unwrap();
        assert_eq!((classes(&labels, &train), classes(&labels, &valid)), ([83, 17], [17, 3]));
        // the part given is used as is; the other part is made of the remaining images
        let Division { train, valid } = divided(&labels, Some(Part::Range([0, 60])), None).unwrap();
        assert_eq!((classes(&labels, &train), classes(&labels, &valid)), ([60, 0], [13, 7]));
        // of the one remaining image of each class, one is for validation: a sixth, but at least one
        let Division { train, valid } = divided(&[0, 1, 0, 1], Some(Part::Count(2)), None).unwrap();
        assert_eq!((train, valid.len()), (Places::Range(0..2), 1));
        let Division { train, valid } = divided(&labels, None, Some(Part::Range([10, 20]))).unwrap();
        assert_eq!((train.len(), valid), (110, Places::Range(10..20)));
        assert!(train.iter().all(|image| !(10..20).contains(&image)));
        let Division { train, valid } = divided(&labels, None, Some(Part::Count(30))).unwrap();
        assert_eq!((train, valid), (Places::Range(0..90), Places::Range(90..120)));
    }

    #[test]
    fn a_part_without_images_is_refused() {
        let all = divided(&[0, 1, 0], Some(Part::Range([0, 3])), None).unwrap_err();
        assert!(all.contains("`data.valid` = nothing (3 of 3 images are for training)"), "{all}");
        let all = divided(&[0, 1, 0], None, Some(Part::Range([0, 3]))).unwrap_err();
        assert!(all.contains("`data.train` = nothing (3 of 3 images are for validation)"), "{all}");
        let few = divided(&[0, 1], None, None).unwrap_err();
        assert!(few.contains("`data.valid` = nothing"), "{few}");
    }
}
