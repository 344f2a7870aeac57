//! Folders of pictures, sound and not.

mod support;

use std::fs;
use std::path::Path;

use ocelli_convert::dataset::{ImageFolder, pictures_below};
use support::asset;

fn put(root: &Path, file: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

#[test]
fn classes_and_pictures_come_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let files = [
        "zebra/2.png",
        "ant/b.JPEG",
        "ant/a.jpg",
        "ant/deeper/c.png",
        "ant/.DS_Store",
        ".cache/x.txt",
    ];
    files.iter().for_each(|file| put(root, file));
    let folder = ImageFolder::open(root).unwrap();
    assert_eq!(folder.classes, ["ant", "zebra"]);
    let found: Vec<(String, usize)> = folder
        .samples
        .iter()
        .map(|sample| {
            let path = sample.path.strip_prefix(root).unwrap();
            (path.to_string_lossy().replace('\\', "/"), sample.class)
        })
        .collect();
    let expected = [
        ("ant/a.jpg", 0),
        ("ant/b.JPEG", 0),
        ("ant/deeper/c.png", 0),
        ("zebra/2.png", 1),
    ];
    assert_eq!(
        found,
        expected.map(|(path, class)| (path.to_string(), class))
    );
    assert_eq!(pictures_below(root).unwrap().len(), 4);
}

#[test]
fn folders_that_are_no_dataset_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let refused = |says: &str| {
        let error = ImageFolder::open(root).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    refused("has no class folders");
    let error = pictures_below(root).unwrap_err().to_string();
    assert!(error.contains("has no pictures"), "{error}");
    fs::create_dir(root.join("empty")).unwrap();
    refused("empty: this class has no pictures");
    put(root, "empty/notes.txt");
    refused("notes.txt: is no picture");
    fs::remove_file(root.join("empty/notes.txt")).unwrap();
    put(root, "empty/a.png");
    ImageFolder::open(root).unwrap();
    put(root, "stray.png");
    refused("stray.png: is a file where class folders are expected");
    assert!(ImageFolder::open(root.join("nowhere")).is_err());
    assert!(ImageFolder::open(root.join("stray.png")).is_err());
}

#[cfg(unix)]
#[test]
fn a_link_in_a_circle_comes_to_an_end() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "class/a.png");
    std::os::unix::fs::symlink(dir.path(), dir.path().join("class/up")).unwrap();
    let error = ImageFolder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("folders deep"), "{error}");
}

#[test]
fn animal_mnist_has_ten_classes_of_two_hundred() {
    for part in ["train", "test"] {
        let folder = ImageFolder::open(asset("animal-mnist").join(part)).unwrap();
        assert_eq!(folder.classes.len(), 10);
        for class in 0..10 {
            let of_class = folder.samples.iter().filter(|sample| sample.class == class);
            assert_eq!(of_class.count(), 200, "{part} {}", folder.classes[class]);
        }
    }
}
