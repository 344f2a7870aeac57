use serde_json::{Value, json};

use crate::Desk;

fn rows(report: &Value) -> &Vec<Value> {
    report["architectures"].as_array().unwrap()
}

#[test]
fn the_list_has_the_published_sizes_of_every_architecture() {
    let desk = Desk::new();
    let list = desk.json(&["arch", "list"]);
    let row = |name: &str| {
        let row = rows(&list).iter().find(|row| row["arch"] == name);
        row.unwrap_or_else(|| panic!("{name} is missing")).clone()
    };
    // torchvision's and timm's counts.
    for (name, side, parameters) in [
        ("resnet18", 224, 11_689_512),
        ("resnet50", 224, 25_557_032),
        ("mobilenet_v2", 224, 3_504_872),
        ("efficientnet_b0", 224, 5_288_548),
        ("efficientnet_lite0", 224, 4_652_008),
        ("convnext_tiny", 224, 28_589_128),
        ("cnn", 32, 482_730),
    ] {
        let row = row(name);
        assert_eq!(row["parameters"], parameters, "{name}");
        assert_eq!(row["input"], json!([side, side]), "{name}");
        assert!(row["image_bytes"].as_u64().unwrap() > parameters, "{name}");
    }
    assert_eq!(row("mobilenet_v2")["macs"], 300_774_272);
    assert_eq!(row("resnet110")["classes"], 10);
}

#[test]
fn an_architecture_is_shown_op_by_op() {
    let desk = Desk::new();
    let arch = "efficientnet_b0:width=0.25,depth=0.5,resolution=48";
    let report = desk.json(&["arch", "show", arch, "--classes", "3"]);
    assert_eq!(
        report["arch"],
        "efficientnet_b0:0.25,depth=0.5,resolution=48"
    );
    assert_eq!(report["input"], json!([48, 48, 3]));
    let ops = report["ops"].as_array().unwrap();
    let total = |field: &str| -> u64 { ops.iter().map(|op| op[field].as_u64().unwrap()).sum() };
    assert_eq!(report["macs"], total("macs"));
    assert!(report["image_bytes"].as_u64().unwrap() > total("weight_bytes"));
    assert_eq!(ops.last().unwrap()["output"], json!([1, 1, 3]));
    for kind in ["multiply", "table", "depthwise"] {
        assert!(ops.iter().any(|op| op["kind"] == kind), "{kind}");
    }
    let text = desk.text(&["arch", "show", "resnet20", "--input", "24x40"]);
    assert!(text.contains("layer2.0.downsample.0"), "{text}");
    assert!(text.contains("at 24x40x3, 10 classes"), "{text}");
    assert!(text.contains("torchvision, shortcut"), "{text}");
}

#[test]
fn what_fits_is_within_its_bounds_and_would_not_be_with_the_next_input() {
    let desk = Desk::new();
    let fit = [
        "arch", "fit", "--flash", "350K", "--ram", "24K", "--macs", "10M",
    ];
    let args = [&fit[..], &["--arch", "mobilenet_v2", "--arch", "cnn"]].concat();
    let report = desk.json(&args);
    let found = rows(&report);
    let number = |row: &Value, field: &str| row[field].as_u64().unwrap();
    let text = |row: &Value| row["arch"].as_str().unwrap().to_string();
    for family in ["mobilenet_v2:", "cnn:"] {
        assert!(
            found.iter().any(|row| text(row).starts_with(family)),
            "{report}"
        );
    }
    for row in found {
        assert!(number(row, "image_bytes") <= 350 * 1024, "{row}");
        assert!(number(row, "arena_bytes") <= 24 * 1024, "{row}");
        assert!(number(row, "macs") <= 10_000_000, "{row}");
        // Its name says all that there is to say.
        let shown = desk.json(&["arch", "show", &text(row), "--classes", "10"]);
        for field in ["parameters", "macs", "image_bytes", "arena_bytes"] {
            assert_eq!(shown[field], row[field], "{row}");
        }
    }
    assert!(found.is_sorted_by_key(|row| u64::MAX - number(row, "macs")));
    let row = found
        .iter()
        .find(|row| text(row).starts_with("mobilenet_v2:0.25"));
    let side = row.unwrap()["input"][0].as_u64().unwrap();
    assert!(side < 224);
    let larger = (side + 32).to_string();
    let fixed = desk.json(&[&args[..], &["--input", &larger]].concat());
    let arch = |row: &Value| text(row) == "mobilenet_v2:0.25";
    assert!(!rows(&fixed).iter().any(arch), "{fixed}");
    let none = desk.text(&[
        "arch", "fit", "--flash", "1K", "--ram", "1K", "--arch", "cnn",
    ]);
    assert!(none.contains("0 fit 1024 bytes"), "{none}");
}

#[test]
fn names_and_options_that_do_not_exist_are_refused() {
    let desk = Desk::new();
    for (args, says) in [
        (
            &["arch", "show", "vgg"][..],
            "unknown architecture `vgg`; supported: cnn, resnet20",
        ),
        (
            &["arch", "show", "cnn:depth=3"],
            "`depth=3` is no option of it; options: width=",
        ),
        (
            &["arch", "show", "convnext_tiny", "--input", "16"],
            "node `",
        ),
        (
            &[
                "arch", "fit", "--flash", "1M", "--ram", "1M", "--arch", "cnn:0.5",
            ],
            "a name without options",
        ),
    ] {
        let error = desk.error(args);
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(desk.run(&["arch", "fit", "--flash", "lots"]).code, Some(2));
}
