//! `cargo xtask report`: the figures of the README, measured now.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::demo::{Ocelli, photos_of, photos_to_calibrate, some_of_each_class};
use crate::split::Part;
use crate::{fetch, repo};

/// Measures and prints one Markdown table.
pub fn report() -> Result<()> {
    fetch::fetch(&[])?;
    let ocelli = Ocelli::build()?;
    let dir = repo::target().join("report");
    fs::create_dir_all(&dir)?;
    let assets = repo::assets();
    let weights = repo::shown(&assets.join("mobilenet_v2-b0353104.pth"));
    let labels = repo::shown(&assets.join("imagenet_labels.txt"));
    let train = assets.join("animal-mnist/train");
    let test = repo::shown(&assets.join("animal-mnist/test"));
    let calib = photos_to_calibrate(&dir.join("calib"))?;
    let unseen = photos_of(Part::Test, &dir.join("test"))?;
    let silhouettes = some_of_each_class(&train, &dir.join("calib-animals"), 10)?;
    let train = repo::shown(&train);
    let (large, small) = ("target/report/mnv2-224.ocl", "target/report/mnv2-96.ocl");
    let taught = "target/report/animals.ocl";

    let convert = [
        "convert",
        &weights,
        "--arch",
        "mobilenet_v2",
        "--labels",
        &labels,
    ];
    let with = |more: &[&'static str], rest: &[&str]| {
        let mut args: Vec<String> = convert.iter().map(|&arg| arg.to_owned()).collect();
        args.extend(more.iter().chain(rest).map(|&arg| arg.to_owned()));
        args
    };
    let large_args = with(&["-o", large], &["--calib", &calib, "--agreement", &unseen]);
    let small_args = with(&["-o", small, "--input", "96"], &["--calib", &silhouettes]);
    let converted = ocelli.json(&words(&large_args))?;
    ocelli.json(&words(&small_args))?;
    ocelli.json(&["tune", small, &train, "-o", taught])?;
    let eval = ocelli.json(&["eval", taught, &test])?;

    println!("| figure | value |\n| --- | --- |");
    row(
        "int8 top-1 agrees with float, test photos",
        &converted,
        "/agreement/top1",
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
    for (name, model) in [("224", large), ("96", small)] {
        let inspected = ocelli.json(&["inspect", model])?;
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

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn row(figure: &str, from: &Value, pointer: &str) -> Result<()> {
    let value = from
        .pointer(pointer)
        .with_context(|| format!("ocelli printed no {pointer}: {from}"))?;
    println!("| {figure} | {value} |");
    Ok(())
}
