//! Published int8 networks on real pictures: what they say must be what the pictures show.

mod support;

use ocelli::{KernelTable, Session};
use ocelli_convert::compare::Arena;
use ocelli_convert::grid::GridOptions;
use ocelli_convert::network::PictureOptions;
use ocelli_convert::plan::PlanKind;
use ocelli_convert::preprocess::{Preprocess, load_image};
use ocelli_convert::reconstruct::ReconstructOptions;
use ocelli_convert::target::Target;
use ocelli_convert::{ConvertOptions, convert};

/// The class with the largest score, of each picture.
fn classes(file: &str, normalize: &str, side: u32, pictures: &[String]) -> Vec<usize> {
    let options = ConvertOptions {
        arch: None,
        input: None,
        classes: None,
        pictures: PictureOptions {
            normalize: Some(normalize.parse().expect("a normalization")),
            resize: Some(side),
            filter: None,
        },
        calibration: None,
        labels: None,
        agreement: None,
        equalize: true,
        grid: GridOptions::default(),
        reconstruct: ReconstructOptions::default(),
        target: Target::M4,
        plan: PlanKind::Small,
        memories: vec![],
    };
    let conversion = convert(&support::asset(file), &options, &()).expect("a conversion");
    let image = conversion.image.parse().expect("a valid image");
    let (kernels, mut arena) = (KernelTable::all(), Arena::new(&image));
    let mut session = Session::new(&image, arena.bytes(), &kernels).expect("a plan that works");
    let input = image.input();
    let record = image.preprocess().expect("a preprocessing");
    let preprocess = Preprocess::from_record(record, input.h, input.w).expect("a sound one");
    let class = |picture: &String| {
        let picture = load_image(support::asset(picture)).expect("a picture");
        let pixels = preprocess.pixels(&picture).expect("pixels");
        session
            .run_pixels(&pixels, &mut ())
            .expect("an input that fits");
        session.top().expect("an output").0
    };
    pictures.iter().map(class).collect()
}

#[test]
fn resnet_8_knows_18_of_20_cifar_10_pictures() {
    let folder = support::asset("cifar10");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    // cifar10_07_6.png: the eighth picture, of class 6.
    let class = |name: &String| {
        let number = name.trim_end_matches(".png").rsplit('_').next();
        number
            .and_then(|number| number.parse().ok())
            .expect("a class")
    };
    let wanted: Vec<usize> = names.iter().map(class).collect();
    let pictures: Vec<String> = names.iter().map(|name| format!("cifar10/{name}")).collect();
    let file = "tflite/image_classification.tflite";
    let got = classes(file, "128/128", 32, &pictures);
    let right = got
        .iter()
        .zip(&wanted)
        .filter(|(got, wanted)| got == wanted);
    assert_eq!((right.count(), wanted.len()), (18, 20));
}

#[test]
fn visual_wake_words_sees_who_is_in_a_picture() {
    const PERSON: usize = 0;
    let pictures =
        ["astronaut", "camera", "chelsea", "coffee"].map(|name| format!("photos/{name}.png"));
    let got = classes("tflite/visual_wake_words.tflite", "raw", 96, &pictures);
    let people: Vec<bool> = got.iter().map(|&class| class == PERSON).collect();
    assert_eq!(people, [true, true, false, false]);
}
