//! What memory plans cost: arenas, weights read and instructions of the same plan, network by network.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::program::Ocelli;
use crate::report::grouped;
use crate::thumb::{M4F, Thumb};
use crate::{fetch, firmware, qemu, repo, shell};

/// The emulated board's memory for a model image, and for all else.
const IMAGE_BYTES: u64 = 16 << 20;
const ARENA_BYTES: u64 = 4_000_000;
/// Estimated instructions that are counted: about a minute.
const COUNTED_INSNS: u64 = 20_000_000_000;
/// At most, the instructions of the smallest plan over those of whole layers.
const SLOWER: f64 = 1.6;
/// At most, the instructions of whole layers over those of their kernels.
const EXECUTOR: f64 = 1.08;

/// Variants that are not in `ocelli arch list`, with the side of their input.
const VARIANTS: [(&str, u64); 3] = [
    ("mobilenet_v2", 96),
    ("mobilenet_v2:0.5", 160),
    ("mobilenet_v2:0.35", 96),
];

/// Int8 files, what they are, and arenas of TensorFlow Lite Micro and TinyEngine.
const FILES: [(&str, &str, Peers); 5] = [
    (
        "visual_wake_words",
        "VWW, MobileNetV1 0.25",
        ("100,708", "60,728"),
    ),
    ("image_classification", "ResNet-8", ("54,996", "")),
    ("keyword_spotting", "DS-CNN", ("22,820", "")),
    ("anomaly_detection", "dense autoencoder", ("2,580", "")),
    ("person_detect", "person detection", ("", "")),
];

type Peers = (&'static str, &'static str);

struct Network {
    name: String,
    image: String,
    peers: Peers,
}

/// A plan's figures.
struct Plan {
    arena_bytes: u64,
    weight_reads: f64,
    estimated: u64,
    counted: Option<Counted>,
}

/// Instructions, and those of the kernels alone.
struct Counted {
    insns: u64,
    in_kernels: u64,
}

/// Measures and prints one Markdown table; fails where a plan costs more than is said.
pub fn plans() -> Result<()> {
    fetch::ensure("tiny-tflite")?;
    let ocelli = Ocelli::build()?;
    qemu::find()?;
    firmware::emulated_program(&Thumb::detect(&[M4F])?, "m4", "bench")?;
    std::fs::create_dir_all(repo::target().join("report/plans"))?;
    println!(
        "| network, input | arena | layer by layer | TFLite Micro | TinyEngine | weight bytes | read | instructions | estimated | over layers | executor |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for network in networks(&ocelli)? {
        let path = repo::root().join(&network.image);
        let image_bytes = path.metadata()?.len();
        let weights = ocelli.json(&format!("inspect {}", network.image))?;
        let weights = number(&weights, "weight_bytes")?;
        let plan = |kind: &str| Plan::new(&ocelli, &network.image, image_bytes, kind);
        let (small, layers) = (plan("small")?, plan("layers")?);
        let insns = |plan: &Plan| plan.counted.as_ref().map(|counted| counted.insns);
        let ratio = |over: Option<u64>, under: Option<u64>| {
            over.zip(under)
                .map(|(over, under)| over as f64 / under as f64)
        };
        let in_kernels = layers.counted.as_ref().map(|counted| counted.in_kernels);
        let slower = ratio(insns(&small), insns(&layers));
        let executor = ratio(insns(&layers), in_kernels);
        ensure!(
            slower.is_none_or(|slower| slower <= SLOWER),
            "{}: the smallest plan takes {slower:?} times the instructions",
            network.name
        );
        ensure!(
            executor.is_none_or(|executor| executor <= EXECUTOR),
            "{}: layer by layer takes {executor:?} times the instructions of its kernels",
            network.name
        );
        let counted = |insns: Option<u64>| insns.map_or(String::new(), grouped);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            network.name,
            grouped(small.arena_bytes),
            grouped(layers.arena_bytes),
            network.peers.0,
            network.peers.1,
            grouped(weights),
            grouped((small.weight_reads * weights as f64).round() as u64),
            counted(insns(&small)),
            grouped(small.estimated),
            slower.map_or(String::new(), |slower| format!("{slower:.3}")),
            executor.map_or(String::new(), |executor| format!(
                "{:.2} %",
                100.0 * (executor - 1.0)
            )),
        );
    }
    Ok(())
}

/// Every network, its image written.
fn networks(ocelli: &Ocelli) -> Result<Vec<Network>> {
    let mut networks = vec![];
    for (file, name, peers) in FILES {
        let image = format!("target/report/plans/{file}.ocl");
        let made = ocelli.json(&format!(
            "convert target/assets/tflite/{file}.tflite -o {image}"
        ))?;
        let side = |at: usize| made["input"][at].as_u64().context("no input");
        networks.push(Network {
            name: format!("{name}, {}x{}", side(0)?, side(1)?),
            image,
            peers,
        });
    }
    let list = ocelli.json("arch list")?;
    let list = list["architectures"]
        .as_array()
        .context("no architectures")?;
    let listed = list.iter().map(|entry| {
        let name = entry["arch"].as_str().context("no arch")?;
        let side = entry["input"][0].as_u64().context("no input")?;
        anyhow::Ok((name, side))
    });
    for entry in VARIANTS.into_iter().map(Ok).chain(listed) {
        let (name, side) = entry?;
        let file = name.replace([':', '.'], "-");
        let image = format!("target/report/plans/{file}-{side}.ocl");
        shell::run(
            repo::cargo()
                .args(["run", "--release", "-q", "-p", "ocelli-convert"])
                .args(["--example", "sketch", "--", name, &image, &side.to_string()]),
        )?;
        let peers = match (name, side) {
            ("mobilenet_v2", 224) => ("1,509,744", ""),
            _ => ("", ""),
        };
        networks.push(Network {
            name: format!("{name}, {side}x{side}"),
            image,
            peers,
        });
    }
    Ok(networks)
}

impl Plan {
    fn new(ocelli: &Ocelli, image: &str, image_bytes: u64, kind: &str) -> Result<Self> {
        let planned = image.replace(".ocl", &format!("-{kind}.ocl"));
        let report = ocelli.json(&format!("replan {image} --plan {kind} -o {planned}"))?;
        let after = &report["after"];
        let mut plan = Plan {
            arena_bytes: number(after, "arena_bytes")?,
            weight_reads: after["weight_reads"].as_f64().context("no weight_reads")?,
            estimated: number(after, "estimated_insns")?,
            counted: None,
        };
        let fits = image_bytes <= IMAGE_BYTES && plan.arena_bytes <= ARENA_BYTES;
        if fits && plan.estimated <= COUNTED_INSNS {
            plan.counted = Some(Counted::of(ocelli, &planned)?);
        }
        std::fs::remove_file(repo::root().join(planned))?;
        Ok(plan)
    }
}

impl Counted {
    /// On the emulated M4.
    fn of(ocelli: &Ocelli, image: &str) -> Result<Self> {
        let counted = ocelli.json(&format!("bench {image} --on m4 --time-limit 600"))?;
        Ok(Counted {
            insns: number(&counted, "insns")?,
            in_kernels: number(&counted, "kernel_insns")?,
        })
    }
}

fn number(report: &Value, field: &str) -> Result<u64> {
    let value = report[field].as_u64();
    value.with_context(|| format!("ocelli printed no {field}: {report}"))
}
