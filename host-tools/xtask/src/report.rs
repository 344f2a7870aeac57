//! `cargo xtask report`: the figures of the README, measured now.

mod plans;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program::Ocelli;
use crate::split::{self, Part};
use crate::{fetch, repo};

/// Measures and prints Markdown tables: of real weights, unless only memory plans are asked for, and of memory plans.
pub fn report(only_plans: bool) -> Result<()> {
    if !only_plans {
        weights()?;
        println!();
    }
    plans::plans()
}

fn weights() -> Result<()> {
    fetch::ensure_all()?;
    let ocelli = Ocelli::build()?;
    let dir = repo::target().join("report");
    split::copy(&split::photos(Part::Calibrate)?, &dir.join("calibrate"))?;
    split::copy(&split::photos(Part::Test)?, &dir.join("test"))?;

    let converted = ocelli.json(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --calib target/report/calibrate \
         --agreement target/report/test -o target/report/mnv2-224.ocl",
    )?;
    ocelli.json(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --input 96 \
         --calib target/report/calibrate -o target/report/mnv2-96.ocl",
    )?;
    let layers = ocelli.json(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --calib target/report/calibrate \
         --plan layers -o target/report/mnv2-224-layers.ocl",
    )?;
    let tuned = ocelli.json(
        "tune target/report/mnv2-96.ocl target/assets/animal-mnist/train -o target/report/animals.ocl",
    )?;
    let eval = ocelli.json("eval target/report/animals.ocl target/assets/animal-mnist/test")?;

    println!("| figure | value |\n| --- | --- |");
    let agreement = |figure| format!("/agreement/{figure}");
    row(
        "photos of the split's test part",
        &converted,
        &agreement("images"),
    )?;
    row(
        "of these, int8 and float agree in top-1",
        &converted,
        &agreement("agreement"),
    )?;
    row(
        "logit error, relative",
        &converted,
        &agreement("logit_error"),
    )?;
    row(
        "Animal-MNIST, 2,000 unseen: accuracy of the int8 head",
        &eval,
        "/accuracy",
    )?;
    row(
        "the same before training, on held-out images",
        &tuned,
        "/before/accuracy",
    )?;
    for side in ["224", "96"] {
        let inspected = ocelli.json(&format!("inspect target/report/mnv2-{side}.ocl"))?;
        for figure in ["image_bytes", "weight_bytes", "arena_bytes", "macs"] {
            let name = format!("MobileNetV2 at {side}: `{figure}`");
            row(&name, &inspected, &format!("/{figure}"))?;
        }
    }
    row(
        "MobileNetV2 at 224, `--plan layers`: `arena_bytes`",
        &layers,
        "/arena_bytes",
    )?;
    Ok(())
}

/// One figure of a program's report; fractions with three digits.
fn row(name: &str, report: &Value, pointer: &str) -> Result<()> {
    let value = report
        .pointer(pointer)
        .with_context(|| format!("ocelli printed no {pointer}: {report}"))?;
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(fraction) => println!("| {name} | {fraction:.3} |"),
        None => println!("| {name} | {value} |"),
    }
    Ok(())
}

/// A whole number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
