#![no_main]
//! Tiny ImageNet's lists, beside the images of the classes `a` and `b`.

use walk_data::DataSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (classes, annotations) = bytes.split_at(bytes.len() / 2);
    let picture = include_bytes!("one_pixel.png");
    let files: &[(&str, &[u8])] = &[
        ("wnids.txt", classes),
        ("train/a/images/a_0.JPEG", picture),
        ("train/b/images/b_0.JPEG", picture),
        ("val/images/val_0.JPEG", picture),
        ("val/val_annotations.txt", annotations),
    ];
    walk_fuzz::read(DataSet::TinyImagenet, files);
});
