//! `cargo xtask bench`: instructions of whole models and single kernels, beside those of CMSIS-NN.

mod shapes;
mod tables;

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::program::Ocelli;
use crate::thumb::Thumb;
use crate::{fetch, firmware, qemu, repo, shell};
use shapes::Op;

/// The peers' figures.
const PEERS: &str = "tests/reference/cmsis_nn_insns.json";
/// Where model images go, below the root of the repository.
const FOLDER: &str = "target/bench";

/// What is counted: rows of the peers' tables, and shapes that are in none.
struct Plan {
    models: Vec<Model>,
    kernels: Vec<Kernel>,
    sweep: Vec<Op>,
}

struct Model {
    name: String,
    /// As `kernel_images` takes it.
    spec: String,
    /// Instructions on each core.
    peer: Value,
}

struct Kernel {
    op: Op,
    /// Instructions on the M4, where all digits are known.
    m4_insns: Option<u64>,
    /// Instructions per unit of work on each core.
    peer: Value,
    /// Whether it was asked for; others are there to be compared with.
    is_shown: bool,
}

/// What one device counted.
struct Counts {
    backend: String,
    /// Of whole models all instructions, of single ops those of their kernel.
    insns: HashMap<String, u64>,
}

/// Counts on some devices and prints Markdown tables, or JSON; only rows whose name contains `only`.
pub fn bench(devices: &[String], only: &str, as_json: bool) -> Result<()> {
    let plan = Plan::read(only)?;
    if !plan.models.is_empty() {
        fetch::ensure("tiny-tflite")?;
    }
    qemu::find()?;
    let ocelli = Ocelli::build()?;
    let mut boards = Vec::new();
    for device in devices {
        let target = firmware::emulated_board(device)?.target;
        firmware::emulated_program(&Thumb::detect(&[target])?, device, "bench")?;
        let counts = plan.count(&ocelli, device)?;
        if as_json {
            boards.push(tables::json(&plan, device, &counts));
        } else {
            tables::print(&plan, device, &counts);
        }
    }
    if as_json {
        let all = json!({ "schema_version": 1, "boards": boards });
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}

impl Plan {
    fn read(only: &str) -> Result<Self> {
        let text = std::fs::read_to_string(repo::root().join(PEERS)).context(PEERS)?;
        let peers: Value = serde_json::from_str(&text).context(PEERS)?;
        let list = |name: &str| {
            let list = peers[name].as_array();
            list.with_context(|| format!("{PEERS}: no {name}"))
        };
        let word = |row: &Value, name: &str| {
            let word = row[name].as_str().map(str::to_owned);
            word.with_context(|| format!("{PEERS}: no {name} in {row}"))
        };
        let mut kernels = Vec::new();
        for row in list("kernels")? {
            let op = Op::parse(&word(row, "op")?)?;
            kernels.push(Kernel {
                m4_insns: row["insns"].as_u64(),
                peer: row["each"].clone(),
                is_shown: op.name().contains(only),
                op,
            });
        }
        let mut models = Vec::new();
        for row in list("models")? {
            models.push(Model {
                name: word(row, "name")?,
                spec: format!("file:target/assets/tflite/{}.tflite", word(row, "file")?),
                peer: row["insns"].clone(),
            });
        }
        models.retain(|model| model.name.contains(only));
        let mut sweep = shapes::sweep()?;
        sweep.retain(|op| op.name().contains(only));
        let is_kernel = kernels.iter().any(|kernel| kernel.is_shown);
        ensure!(
            !models.is_empty() || is_kernel || !sweep.is_empty(),
            "no model and no op has {only} in its name"
        );
        Ok(Self {
            models,
            kernels,
            sweep,
        })
    }

    /// The row of the peers' table that an op is most like, the first of equals; none if there is none of its kind.
    fn nearest(&self, op: &Op) -> Option<&Kernel> {
        let distances = self
            .kernels
            .iter()
            .filter_map(|kernel| Some((op.distance(&kernel.op)?, kernel)));
        distances
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, kernel)| kernel)
    }

    /// Counts all models and ops, and those that ops of the sweep are compared with.
    fn count(&self, ocelli: &Ocelli, device: &str) -> Result<Counts> {
        let models = self.models.iter().map(|model| &model.spec);
        let kernels = self.kernels.iter().filter(|kernel| kernel.is_shown);
        let nearest = self.sweep.iter().filter_map(|op| self.nearest(op));
        let kernels = kernels.chain(nearest).map(|kernel| &kernel.op.spec);
        let sweep = self.sweep.iter().map(|op| &op.spec);
        let mut specs: Vec<&str> = models
            .chain(kernels)
            .chain(sweep)
            .map(String::as_str)
            .collect();
        specs.sort_unstable();
        specs.dedup();
        let mut counts = Counts {
            backend: String::new(),
            insns: HashMap::new(),
        };
        let images = images(device, &specs)?;
        for (spec, image) in specs.into_iter().zip(images) {
            let counted = ocelli.json(&format!("bench {image} --on {device} --time-limit 600"))?;
            let insns = if spec.starts_with("file:") {
                counted["insns"].as_u64()
            } else {
                // The op itself comes last: before it is what makes its second input.
                let op = counted["ops"].as_array().and_then(|ops| ops.last());
                op.and_then(|op| op["insns"].as_u64())
            };
            let backend = counted["backend"].as_str().map(str::to_owned);
            let (insns, backend) = insns
                .zip(backend)
                .with_context(|| format!("ocelli counted nothing: {counted}"))?;
            counts.insns.insert(spec.to_owned(), insns);
            counts.backend = backend;
        }
        Ok(counts)
    }
}

/// Writes the images for a device, weights packed as its inner loops want them; their paths.
fn images(device: &str, specs: &[&str]) -> Result<Vec<String>> {
    std::fs::create_dir_all(repo::root().join(FOLDER))?;
    // The board with less memory has the processor of the other.
    let target = device.split('-').next().unwrap_or(device);
    let written = shell::capture(
        repo::cargo()
            .args(["run", "--release", "-q", "-p", "ocelli-convert"])
            .args(["--example", "kernel_images", "--", target, FOLDER])
            .args(specs),
    )?;
    let images: Vec<String> = written.lines().map(str::to_owned).collect();
    ensure!(images.len() == specs.len(), "images are missing: {written}");
    Ok(images)
}
