use ocelli_image::ImageBuffer;

use crate::{Desk, small};

#[test]
fn the_sizes_are_those_of_the_image_and_the_session() {
    let desk = Desk::new();
    let bytes = desk.read("m.ocl");
    let buffer = ImageBuffer::new(&bytes);
    let image = buffer.parse().unwrap();
    let report = desk.json(&["inspect", "m.ocl"]);
    assert_eq!(report["image_bytes"], bytes.len());
    assert_eq!(report["arena_bytes"], ocelli::arena_bytes(&image));
    // 6 filters of 3x3x3 at 4x4 places, and 6 features for 3 classes.
    assert_eq!(report["macs"], 6 * 27 * 16 + 6 * 3);
    // Weights, and nine bytes of bias and factor for each channel.
    assert_eq!(report["weight_bytes"], (6 * 27 + 6 * 9) + (18 + 3 * 9));
    assert_eq!(report["crc"], format!("{:08x}", image.crc()));
    assert_eq!(report["head"], 2);
    assert_eq!(report["input"]["shape"], serde_json::json!([8, 8, 3]));
    assert_eq!(report["input"]["zero_point"], -128);
    assert_eq!(report["labels"][0], "red");
    assert_eq!(report["preprocess"]["resize_shorter"], 8);
}

#[test]
fn every_op_is_told_with_its_name_and_segment() {
    let desk = Desk::new();
    let mut model = small::colours();
    model.segments = vec![2, 1];
    desk.model("m.ocl", &model);
    let report = desk.json(&["inspect", "m.ocl"]);
    let ops = report["ops"].as_array().unwrap();
    let told = |field: &str| -> Vec<String> {
        let fields = ops.iter().map(|op| op[field].to_string());
        fields.map(|text| text.replace('"', "")).collect()
    };
    assert_eq!(told("name"), ["conv", "pool", "logits"]);
    assert_eq!(told("kind"), ["conv2d", "global_average_pool", "dense"]);
    assert_eq!(told("segment"), ["0", "0", "1"]);
    assert_eq!(told("output"), ["[4,4,6]", "[1,1,6]", "[1,1,3]"]);
    assert_eq!(told("macs"), ["2592", "0", "18"]);
}

#[test]
fn people_get_a_table() {
    let desk = Desk::new();
    let text = desk.text(&["inspect", "m.ocl"]);
    assert!(text.contains("conv2d"), "{text}");
    assert!(text.contains("8x8x3 int8, scale 0.003921569, zero point -128"));
    assert!(text.contains("labels        3, from red to blue"), "{text}");
    assert!(text.contains("classifier    op 2"), "{text}");
}

#[test]
fn memory_is_shown_over_time_beside_that_of_single_layers() {
    let desk = Desk::new();
    let report = desk.json(&["inspect", "m.ocl"]);
    let picture = desk.json(&["inspect", "m.ocl", "--plan"]);
    for field in ["arena_bytes", "arena_bytes_layers", "weight_reads"] {
        assert_eq!(report[field], picture[field]);
    }
    assert!(report["arena_bytes"].as_u64() <= report["arena_bytes_layers"].as_u64());
    let segments = picture["segments"].as_array().unwrap();
    assert_eq!(report["segments"], segments.len());
    let holders = picture["peak"].as_array().unwrap();
    let held = holders
        .iter()
        .map(|holder| holder["bytes"].as_u64().unwrap());
    assert_eq!(picture["peak_bytes"], held.sum::<u64>());
    let text = desk.text(&["inspect", "m.ocl", "--plan"]);
    assert!(text.contains("fullest in segment"), "{text}");
    assert!(text.contains('#'), "{text}");
}

#[test]
fn the_kernel_table_is_rust_that_a_firmware_takes() {
    let desk = Desk::new();
    let expected = "KernelTable::new().with(Family::CONV_2D).with(Family::DENSE).with(Family::GLOBAL_AVERAGE_POOL)";
    assert_eq!(
        desk.text(&["inspect", "m.ocl", "--kernels"]).trim_end(),
        expected
    );
    assert_eq!(
        desk.json(&["inspect", "m.ocl", "--kernels"])["kernels"],
        expected
    );
}

#[test]
fn a_bare_model_is_told_to_have_no_names_scales_or_labels() {
    let desk = Desk::new();
    let mut model = small::colours();
    model.labels.clear();
    model.names.clear();
    model.tensor_scale.clear();
    model.preprocess = None;
    for op in &mut model.ops {
        if let ocelli_image::Body::Conv2d { channels, .. }
        | ocelli_image::Body::Dense { channels } = &mut op.body
        {
            channels.weight_scale.clear();
        }
    }
    desk.model("bare.ocl", &model);
    let text = desk.text(&["inspect", "bare.ocl"]);
    assert!(text.contains("scale unknown"), "{text}");
    assert!(text.contains("labels        none"), "{text}");
    assert!(text.contains("preprocessing none"), "{text}");
}
