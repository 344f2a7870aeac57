//! `cargo xtask quality`: how well int8 does, beside ONNX Runtime's static quantization with the same photos.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::program::Ocelli;
use crate::split::{self, Part};
use crate::{fetch, repo};

/// Measures and prints one Markdown table; fails where ours is the noisier.
///
/// `exported` is the folder that `tests/reference/onnxruntime_int8.py export` filled.
pub fn quality(exported: Option<&Path>) -> Result<()> {
    let path = repo::root().join("tests/reference/onnxruntime_int8.json");
    let text = std::fs::read_to_string(&path).with_context(|| repo::shown(&path))?;
    let theirs: Value = serde_json::from_str(&text).with_context(|| repo::shown(&path))?;
    let networks = theirs["networks"].as_array();
    let networks = networks.with_context(|| format!("{} lists none", repo::shown(&path)))?;
    let rows = match exported {
        Some(dir) => each(networks, |network| from_onnx(network, dir))?,
        None => from_weights(networks)?,
    };
    println!("| network | photos | SQNR, dB | ONNX Runtime's | top-1 kept | ONNX Runtime's |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for row in &rows {
        println!(
            "| {} | {} | {:.2} | {:.2} | {} | {} |",
            row.name,
            row.images,
            row.ours.db,
            row.theirs.db,
            row.ours.agreeing,
            row.theirs.agreeing
        );
    }
    let lost = rows.iter().filter(|row| row.ours.db < row.theirs.db);
    let lost: Vec<&str> = lost.map(|row| row.name).collect();
    ensure!(
        lost.is_empty(),
        "int8 is noisier than ONNX Runtime's for {}",
        lost.join(", ")
    );
    Ok(())
}

/// What one quantizer made of a network.
struct Quality {
    /// Of the output's signal over its noise.
    db: f64,
    /// Photos on which int8 and float put the same class first.
    agreeing: u64,
}

impl Quality {
    fn of(figures: &Value) -> Result<Self> {
        let db = figures["output_sqnr_db"].as_f64();
        let agreeing = figures["agreeing"].as_u64();
        let (db, agreeing) = db
            .zip(agreeing)
            .with_context(|| format!("no output_sqnr_db and agreeing: {figures}"))?;
        Ok(Self { db, agreeing })
    }
}

struct Row<'a> {
    name: &'a str,
    images: u64,
    ours: Quality,
    theirs: Quality,
}

/// The networks whose weights are published, from these and the photos as they came.
fn from_weights(networks: &[Value]) -> Result<Vec<Row<'_>>> {
    fetch::ensure_all()?;
    let dir = repo::target().join("quality");
    split::copy(&split::photos(Part::Calibrate)?, &dir.join("calibrate"))?;
    split::copy(&split::photos(Part::Test)?, &dir.join("test"))?;
    let published = networks
        .iter()
        .filter(|network| network["weights"].is_string());
    each(published, |network| {
        let (name, weights) = (word(network, "name")?, word(network, "weights")?);
        Ok(format!(
            "target/assets/{weights} --arch {name} --calib target/quality/calibrate \
             --agreement target/quality/test"
        ))
    })
}

/// A network as ONNX Runtime got it, with the same pixels.
fn from_onnx(network: &Value, dir: &Path) -> Result<String> {
    let name = word(network, "name")?;
    let dir = std::path::absolute(dir)?.join(name);
    let dir = dir.display();
    let normalize = word(network, "normalize")?;
    let side = &network["side"];
    Ok(format!(
        "{dir}/float.onnx --normalize {normalize} --resize {side} --calib {dir}/calibrate --agreement {dir}/test"
    ))
}

/// Converts each network, told apart by what `ocelli convert` is given.
fn each<'a>(
    networks: impl IntoIterator<Item = &'a Value>,
    options: impl Fn(&Value) -> Result<String>,
) -> Result<Vec<Row<'a>>> {
    let ocelli = Ocelli::build()?;
    std::fs::create_dir_all(repo::target().join("quality"))?;
    let rows = networks.into_iter().map(|network| {
        let name = word(network, "name")?;
        // Whatever becomes of it is shown, and judged here.
        let converted = ocelli.json(&format!(
            "convert {} --accept -o target/quality/{name}.ocl",
            options(network)?
        ))?;
        let agreement = &converted["agreement"];
        let images = network["images"].as_u64();
        if agreement["images"].as_u64() != images {
            bail!("{name}: not the photos that ONNX Runtime was tested on: {agreement}");
        }
        Ok(Row {
            name,
            images: images.unwrap_or_default(),
            ours: Quality::of(agreement)?,
            theirs: Quality::of(network)?,
        })
    });
    rows.collect()
}

fn word<'a>(network: &'a Value, field: &str) -> Result<&'a str> {
    let text = network[field].as_str();
    text.with_context(|| format!("a network without {field}: {network}"))
}
