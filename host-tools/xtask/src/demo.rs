//! `cargo xtask demo`: from published weights to a network that learns on an emulated microcontroller.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::program::Ocelli;
use crate::split::{self, Part};
use crate::thumb::{M4F, Thumb};
use crate::{fetch, firmware, qemu, repo};

/// Runs every step; what the machine does not allow is left out and named at the end.
pub fn demo() -> Result<()> {
    let started = Instant::now();
    let mut left_out = Vec::new();
    let fetched = [
        "mobilenet-v2",
        "imagenet-labels",
        "photos",
        "foolbox",
        "animal-mnist",
    ];
    fetched.into_iter().try_for_each(fetch::ensure)?;
    let mut photos = split::photos(Part::Calibrate)?;
    if let Err(error) = fetch::ensure("stamps") {
        photos.retain(|photo| !photo.starts_with("stamps/"));
        left_out.push(format!(
            "Tux Paint's photos; {} others calibrated alone: {error:#}",
            photos.len()
        ));
    }
    split::copy(&photos, &repo::target().join("demo/photos"))?;
    let ocelli = Ocelli::build()?;
    let emulator = emulator();
    if emulator.is_ok() {
        firmware::emulated(&Thumb::detect(&[M4F])?, "m4")?;
    }

    heading("Convert and quantize MobileNetV2, as published with ImageNet weights");
    ocelli.run(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --calib target/demo/photos \
         --labels target/assets/imagenet_labels.txt -o target/demo/mnv2-224.ocl",
    )?;
    heading("What it sees: a cat, and a cup of espresso");
    ocelli.run(
        "run target/demo/mnv2-224.ocl target/assets/photos/chelsea.png target/assets/photos/coffee.png",
    )?;
    heading("The same network for 96 by 96 pixels");
    ocelli.run(
        "convert target/assets/mobilenet_v2-b0353104.pth --arch mobilenet_v2 --input 96 --calib target/demo/photos \
         --labels target/assets/imagenet_labels.txt -o target/demo/mnv2-96.ocl",
    )?;
    heading("Teach it ten animals from 2,000 silhouettes; the backbone stays as it is");
    ocelli.run(
        "tune target/demo/mnv2-96.ocl target/assets/animal-mnist/train -o target/demo/animals.ocl",
    )?;
    heading("How well it knows 2,000 silhouettes that it has never seen");
    ocelli.run("eval target/demo/animals.ocl target/assets/animal-mnist/test")?;
    match emulator {
        Ok(qemu) => {
            heading("An emulated Cortex-M4 classifies and trains; every digest equals the host's");
            ocelli.run_with(
                "verify target/demo/mnv2-96.ocl --on m4 --train target/assets/animal-mnist/train \
                 target/assets/photos/chelsea.png",
                &[(qemu::VARIABLE, &qemu)],
            )?;
        }
        Err(error) => left_out.push(format!("the emulated Cortex-M4: {error:#}")),
    }

    println!("\nDone in {} s.", started.elapsed().as_secs());
    for what in left_out {
        println!("Left out: {what}");
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n== {text}");
}

/// The emulator and a compiler for its board, or why one is not to be had here.
fn emulator() -> Result<PathBuf> {
    Thumb::detect(&[M4F])?;
    qemu::find()
}
