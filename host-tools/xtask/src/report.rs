//! `cargo xtask report`: the figures of the README, measured now.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program::Ocelli;
use crate::split::Part;
use crate::{fetch, folder, repo};

/// Measures and prints one Markdown table.
pub fn report() -> Result<()> {
    fetch::ensure_all()?;
    let ocelli = Ocelli::build()?;
    let dir = repo::target().join("report");
    fs::create_dir_all(&dir)?;
    folder::photos_of(Part::Calibrate, &dir.join("calibrate"))?;
    folder::photos_of(Part::Test, &dir.join("test"))?;
    let animals = repo::assets().join("animal-mnist/train");
    folder::some_of_each_class(&animals, &dir.join("silhouettes"), 10)?;

    let converted = ocelli.json(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --calib target/report/calibrate \
         --agreement target/report/test -o target/report/mnv2-224.ocl",
    )?;
    ocelli.json(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --input 96 \
         --calib target/report/silhouettes -o target/report/mnv2-96.ocl",
    )?;
    ocelli.json(
        "tune target/report/mnv2-96.ocl target/assets/animal-mnist/train -o target/report/animals.ocl",
    )?;
    let eval = ocelli.json("eval target/report/animals.ocl target/assets/animal-mnist/test")?;

    println!("| figure | value |\n| --- | --- |");
    row(
        "int8 top-1 agrees with float, test photos",
        &converted,
        "/agreement/agreement",
    )?;
    row("test photos", &converted, "/agreement/images")?;
    row(
        "logit error, relative to the largest",
        &converted,
        "/agreement/logit_error",
    )?;
    row(
        "Animal-MNIST accuracy, int8 head, 2,000 unseen",
        &eval,
        "/accuracy",
    )?;
    for name in ["224", "96"] {
        let inspected = ocelli.json(&format!("inspect target/report/mnv2-{name}.ocl"))?;
        for figure in ["image_bytes", "weight_bytes", "arena_bytes", "macs"] {
            row(
                &format!("MobileNetV2 at {name}: {figure}"),
                &inspected,
                &format!("/{figure}"),
            )?;
        }
    }
    Ok(())
}

fn row(figure: &str, from: &Value, pointer: &str) -> Result<()> {
    let value = from
        .pointer(pointer)
        .with_context(|| format!("ocelli printed no {pointer}: {from}"))?;
    println!("| {figure} | {value} |");
    Ok(())
}
