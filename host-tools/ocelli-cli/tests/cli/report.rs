//! `ocelli convert`: its report, its bounds and its ONNX file.

use std::fs;

use ocelli_convert::arch::Arch;
use ocelli_convert::weights::StateDict;
use serde_json::{Value, json};

use crate::Desk;
use crate::convert::tflite;

const CNN: [&str; 4] = ["--arch", "cnn:0.25", "--calib", "photos"];

/// A small network's random weights as `w.safetensors`, after a change, and pictures to calibrate on.
fn with_weights(change: impl Fn(&mut StateDict)) -> Desk {
    let desk = Desk::new();
    let arch = Arch::parse("cnn:0.25").unwrap();
    let mut weights = arch.random_weights(8, 10).unwrap();
    change(&mut weights);
    let mut header = serde_json::Map::new();
    let mut data = vec![];
    for (name, tensor) in &weights {
        let start = data.len();
        data.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
        let entry =
            json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length[..], &header, &data].concat();
    fs::write(desk.path("w.safetensors"), file).unwrap();
    fs::create_dir(desk.path("photos")).unwrap();
    for at in 0..6u32 {
        let pixel = |x: u32, y: u32| {
            image::Rgb([7, 11, 13].map(|k| ((x * k + y * (at + 2) * 5) % 256) as u8))
        };
        let photo = image::RgbImage::from_fn(40, 36, pixel);
        photo.save(desk.path(&format!("photos/{at}.png"))).unwrap();
    }
    desk
}

/// One channel a thousand times larger than the others, and read a thousand times smaller: the same function.
fn with_one_large_channel(weights: &mut StateDict) {
    for part in ["weight", "bias"] {
        let tensor = weights.get_mut(&format!("stage3.2.bn.{part}")).unwrap();
        tensor.data[0] *= 1000.0;
    }
    let readers = weights.get_mut("fc.weight").unwrap();
    let channels = readers.shape[1];
    for weights in readers.data.chunks_mut(channels) {
        weights[0] /= 1000.0;
    }
}

fn converted<'a>(source: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["convert", source, "-o", output], &CNN[..], more].concat()
}

#[test]
fn a_network_that_int8_would_ruin_is_not_written_and_its_op_is_named() {
    let desk = with_weights(with_one_large_channel);
    let plain = ["--per-tensor", "--no-equalize", "--no-bias-correction"];
    let files = ["--report", "r.html", "--emit-onnx", "q.onnx"];
    let before = desk.read("m.ocl");
    let error = desk.error(&converted(
        "w.safetensors",
        "m.ocl",
        &[&plain[..], &files].concat(),
    ));
    assert!(
        error.contains("w.safetensors: int8 ruins this network: output SQNR "),
        "{error}"
    );
    assert!(error.contains(" dB, below 8 dB; "), "{error}");
    assert!(
        error.contains("comes from op `stage3.2.conv` (conv2d)"),
        "{error}"
    );
    assert!(error.contains("--accept"), "{error}");
    assert_eq!(desk.read("m.ocl"), before);
    assert!(!desk.path("r.html").exists() && !desk.path("q.onnx").exists());

    let accepted = converted(
        "w.safetensors",
        "m.ocl",
        &[&plain[..], &files, &["--accept"]].concat(),
    );
    let said = desk.run(&accepted);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stderr.contains("warning: int8 ruins this network"),
        "{}",
        said.stderr
    );
    assert_ne!(desk.read("m.ocl"), before);
    let page = fs::read_to_string(desk.path("r.html")).unwrap();
    assert!(page.contains("int8 ruins this network"));

    // Equalized and rounded per channel, it is what it was.
    let report = desk.json(&converted("w.safetensors", "m.ocl", &[]));
    assert_eq!(report["ruin"], Value::Null);
    assert!(
        report["output_sqnr_db"].as_f64().unwrap() > 15.0,
        "{report}"
    );
}

#[test]
fn agreement_below_its_bound_is_refused_as_well() {
    // Scores that hardly differ: int8 cannot tell them apart, though there is little noise.
    let desk = with_weights(|weights| {
        let scores = weights.get_mut("fc.weight").unwrap();
        scores.data.iter_mut().for_each(|weight| *weight /= 1000.0);
        let bias = weights.get_mut("fc.bias").unwrap();
        bias.data.fill(100.0);
        bias.data[9] = 100.02;
    });
    let error = desk.error(&converted(
        "w.safetensors",
        "a.ocl",
        &["--agreement", "photos"],
    ));
    assert!(error.contains(", agreement with float 0."), "{error}");
    assert!(error.contains(", below 0.5; "), "{error}");
    assert!(!desk.path("a.ocl").exists());
}

#[test]
fn a_report_is_one_page_that_loads_nothing() {
    let desk = with_weights(|_| ());
    let report = desk.json(&converted(
        "w.safetensors",
        "w.ocl",
        &["--report", "r.html"],
    ));
    let page = fs::read_to_string(desk.path("r.html")).unwrap();
    for outside in ["http", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let ops = report["ops"].as_array().unwrap();
    let mut blame = 0.0;
    for op in ops {
        assert!(page.contains(op["name"].as_str().unwrap()), "{op}");
        blame += op["blame"].as_f64().unwrap();
        let [own, sqnr] = ["own_sqnr_db", "sqnr_db"].map(|key| op[key].as_f64());
        // A max pool rounds nothing, so that its own noise is none: no finite number.
        assert_eq!(own.is_none(), op["kind"] == "max_pool", "{op}");
        assert!(sqnr.unwrap() > 10.0, "{op}");
    }
    assert!((blame - 1.0).abs() < 1e-9, "{blame}");
    // Noise, memory as planned and layer by layer; values of each op, and weights of those that have some.
    let weighted = ops.iter().filter(|op| op["weight_bytes"] != 0).count();
    assert_eq!(page.matches("<svg").count(), 3 + ops.len() + weighted);
    assert_eq!(page.matches("class=\"worst\"").count(), 3);
}

#[test]
fn an_int8_file_has_a_report_without_noise_and_no_onnx_file() {
    let desk = Desk::new();
    let source = tflite("keyword_spotting.tflite");
    desk.text(&["convert", &source, "-o", "k.ocl", "--report", "r.html"]);
    let page = fs::read_to_string(desk.path("r.html")).unwrap();
    assert!(!page.contains("SQNR") && !page.contains("blame\">"));
    assert!(page.contains("every code as in the source"));
    // The arenas of this plan and of whole layers, and a row for the only segment.
    for part in ["As planned: 5,420 bytes", "Layer by layer: 16,584 bytes"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("<tr><td>0<td class=\"text\">0 to 11<td>"));
    let error = desk.error(&["convert", &source, "-o", "n.ocl", "--emit-onnx", "n.onnx"]);
    assert!(error.contains("leave out --emit-onnx"), "{error}");
    assert!(!desk.path("n.ocl").exists() && !desk.path("n.onnx").exists());
}

#[test]
fn the_onnx_file_converts_to_the_same_network() {
    let desk = with_weights(|_| ());
    desk.text(&converted(
        "w.safetensors",
        "w.ocl",
        &["--emit-onnx", "q.onnx"],
    ));
    desk.text(&["convert", "q.onnx", "-o", "q.ocl"]);
    let codes: Vec<u8> = (0..4 * 32 * 32 * 3u32)
        .map(|at| (at * 37 % 251) as u8)
        .collect();
    fs::write(desk.path("codes.bin"), codes).unwrap();
    let outputs = ["w", "q"].map(|model| {
        let (image, output) = (format!("{model}.ocl"), format!("{model}.bin"));
        desk.text(&[
            "run",
            &image,
            "--raw-input",
            "codes.bin",
            "--raw-output",
            &output,
        ]);
        desk.read(&output)
    });
    assert_eq!(outputs[0].len(), 40);
    assert_eq!(outputs[0], outputs[1]);
}
