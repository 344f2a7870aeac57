//! Weights files: every container, and every kind of damage.

mod support;

use std::fs;
use std::path::Path;

use ocelli_convert::ImportError;
use ocelli_convert::weights::{StateDict, load};
use support::{asset, reference};

fn container(name: &str) -> Result<StateDict, ImportError> {
    load(reference("containers").join(name))
}

/// As in `containers.py`.
fn assert_holds_the_small_state_dict(dict: &StateDict, file: &str) {
    let names: Vec<&str> = dict.keys().map(String::as_str).collect();
    assert_eq!(names, ["conv.bias", "conv.weight"], "{file}");
    let weight = &dict["conv.weight"];
    assert_eq!(weight.shape, [3, 2, 2, 1], "{file}");
    let expected: Vec<f32> = (0..12).map(|i| i as f32 / 4.0 - 1.0).collect();
    assert_eq!(weight.data, expected, "{file}");
    // A column of a 3x4 grid: a strided view.
    assert_eq!(dict["conv.bias"].shape, [3], "{file}");
    assert_eq!(dict["conv.bias"].data, [1.0, 5.0, 9.0], "{file}");
}

#[test]
fn every_container_and_float_type_gives_the_same_tensors() {
    let files = [
        "zip.pth",
        "legacy.pth",
        "f16.pth",
        "bf16.pth",
        "f64.pth",
        "checkpoint.pth",
        "parallel.pth",
        "cuda.pth",
    ];
    for file in files {
        assert_holds_the_small_state_dict(&container(file).unwrap(), file);
    }
}

fn safetensors_file(dtype: safetensors::Dtype, bytes: &[u8], shape: Vec<usize>) -> Vec<u8> {
    let view = safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
    safetensors::serialize([("module.conv.weight", view)], None).unwrap()
}

#[test]
fn safetensors_are_read_in_every_float_type() {
    use safetensors::Dtype;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    // 1.5 and -2 in each type.
    let cases: [(Dtype, &[u8]); 4] = [
        (Dtype::F16, &[0x00, 0x3e, 0x00, 0xc0]),
        (Dtype::BF16, &[0xc0, 0x3f, 0x00, 0xc0]),
        (Dtype::F32, &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]),
        (
            Dtype::F64,
            &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0],
        ),
    ];
    for (dtype, bytes) in cases {
        fs::write(&path, safetensors_file(dtype, bytes, vec![2])).unwrap();
        let dict = load(&path).unwrap();
        assert_eq!(dict["conv.weight"].data, [1.5, -2.0], "{dtype:?}");
    }
    fs::write(&path, safetensors_file(Dtype::I8, &[1, 2], vec![2])).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("`conv.weight` holds i8"), "{error}");
}

#[test]
fn a_part_of_a_network_that_is_called_model_keeps_its_name() {
    let bytes = 1.5f32.to_le_bytes();
    let view = |shape| safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &bytes);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    for (beside, named) in [
        ("fc.weight", vec!["fc.weight", "model.0.0.weight"]),
        ("optimizer.state.0.exp_avg", vec!["0.0.weight"]),
        ("model_ema.fc.weight", vec!["0.0.weight"]),
    ] {
        let tensors = ["model.0.0.weight", beside].map(|name| (name, view(vec![1]).unwrap()));
        fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        let dict = load(&path).unwrap();
        assert_eq!(dict.keys().collect::<Vec<_>>(), named, "{beside}");
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused_with_its_tensor() {
    let error = container("nan.pth").unwrap_err();
    assert!(
        matches!(&error, ImportError::NotFinite { tensor, at: 2, .. } if tensor == "conv.weight"),
        "{error}"
    );
    assert!(error.to_string().contains("conv.weight"), "{error}");
}

#[test]
fn integer_weights_are_refused_with_their_tensor() {
    let error = container("integers.pth").unwrap_err().to_string();
    assert!(error.contains("`conv.weight` holds i64"), "{error}");
}

#[test]
fn a_view_that_is_larger_than_its_file_is_refused() {
    let error = container("expanded.pth").unwrap_err().to_string();
    assert!(
        error.contains("`conv.weight` claims 4000000 bytes"),
        "{error}"
    );
}

#[test]
fn small_files_that_ask_for_much_memory_are_refused() {
    let seed = |name: &str| {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/pytorch");
        load(seeds.join(name)).unwrap_err().to_string()
    };
    // Twenty million values in twenty kilobytes.
    let error = seed("deflated.pth");
    assert!(error.contains("compressed archive"), "{error}");
    // Forty names for the bytes of one tensor.
    let error = seed("shared.pth");
    assert!(error.contains("more than 4 times the"), "{error}");
}

#[test]
fn a_pickle_that_would_run_a_command_runs_nothing() {
    let error = container("runs.pth").unwrap_err();
    assert!(matches!(error, ImportError::BadFile { .. }), "{error}");
    assert!(!fs::exists("ocelli-was-here").unwrap());
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.pth");
    let safe = safetensors_file(safetensors::Dtype::F32, &[0; 8], vec![2]);
    let mut files = vec![safe];
    for name in ["zip.pth", "legacy.pth", "checkpoint.pth"] {
        files.push(fs::read(reference("containers").join(name)).unwrap());
    }
    for whole in files {
        // Every length near both ends, where the headers are, and some in between.
        let near_an_end = |&length: &usize| length < 64 || length + 64 > whole.len();
        for length in (0..whole.len()).filter(|length| near_an_end(length) || length % 13 == 0) {
            fs::write(&path, &whole[..length]).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains("cut.pth"), "{length}: {error}");
        }
    }
}

#[test]
fn a_flipped_bit_in_any_byte_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flipped.pth");
    let safe = safetensors_file(safetensors::Dtype::F32, &[0; 8], vec![2]);
    let mut files = vec![safe];
    for name in ["zip.pth", "legacy.pth"] {
        files.push(fs::read(reference("containers").join(name)).unwrap());
    }
    for whole in files {
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, &damaged).unwrap();
            // Either is right: many bits are weights.
            let _ = load(&path);
        }
    }
}

#[test]
fn other_files_and_no_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.pth");
    fs::write(&path, "not weights at all").unwrap();
    let error = load(&path).unwrap_err();
    assert!(
        matches!(error, ImportError::UnknownFormat { .. }),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    let error = load(&path).unwrap_err();
    assert!(matches!(error, ImportError::Io { .. }), "{error}");
}

#[test]
fn the_published_weights_are_read_and_their_truncation_is_refused() {
    let path = asset("mobilenet_v2-b0353104.pth");
    let dict = load(&path).unwrap();
    // 52 convolutions with five tensors each (one is left out: a counter), and the classifier's two.
    assert_eq!(dict.len(), 52 * 5 + 2);
    assert_eq!(dict["features.0.0.weight"].shape, [32, 3, 3, 3]);
    assert_eq!(dict["classifier.1.weight"].shape, [1000, 1280]);
    let bytes = fs::read(&path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.pth");
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let error = load(&cut).unwrap_err().to_string();
    assert!(error.contains("is it complete?"), "{error}");
}
