//! What was counted, as Markdown and as JSON.

use serde_json::{Value, json};

use super::{Counts, Kernel, Model, Plan};
use crate::bench::shapes::Op;
use crate::report::grouped;

/// More than this, over the nearest row of the table, and a shape is slow.
const UNLIKE: f64 = 1.15;

/// A row of a peer's table beside ours.
struct Row {
    name: String,
    work: u64,
    unit: &'static str,
    insns: u64,
    each: f64,
    peer_insns: Option<u64>,
    peer_each: Option<f64>,
}

impl Row {
    fn of_kernel(kernel: &Kernel, device: &str, counts: &Counts) -> Option<Self> {
        let (work, unit) = kernel.op.units();
        let insns = *counts.insns.get(&kernel.op.spec)?;
        Some(Self {
            name: kernel.op.name(),
            work,
            unit,
            insns,
            each: insns as f64 / work as f64,
            peer_insns: kernel.m4_insns.filter(|_| device == "m4"),
            peer_each: kernel.peer[device].as_f64(),
        })
    }

    fn of_model(model: &Model, device: &str, counts: &Counts) -> Option<Self> {
        let insns = *counts.insns.get(&model.spec)?;
        let peer_insns = model.peer[device].as_u64();
        Some(Self {
            name: model.name.clone(),
            work: 1,
            unit: "inference",
            insns,
            each: insns as f64,
            peer_insns,
            peer_each: peer_insns.map(|insns| insns as f64),
        })
    }

    /// Ours over theirs.
    fn ratio(&self) -> Option<f64> {
        let exact = self.peer_insns.map(|peer| self.insns as f64 / peer as f64);
        exact.or_else(|| self.peer_each.map(|peer| self.each / peer))
    }
}

/// An op that is in no table, beside the row that is most alike.
struct Apart<'a> {
    op: &'a Op,
    insns: u64,
    each: f64,
    nearest: &'a Op,
    nearest_each: f64,
    /// The peer's instructions per MAC in that row.
    peer_each: Option<f64>,
}

impl<'a> Apart<'a> {
    fn new(op: &'a Op, plan: &'a Plan, device: &str, counts: &Counts) -> Option<Self> {
        let each = |op: &Op| {
            let insns = *counts.insns.get(&op.spec)?;
            Some((insns, insns as f64 / op.units().0 as f64))
        };
        let nearest = plan.nearest(op)?;
        let (insns, each_of_op) = each(op)?;
        let (_, nearest_each) = each(&nearest.op)?;
        Some(Self {
            op,
            insns,
            each: each_of_op,
            nearest: &nearest.op,
            nearest_each,
            peer_each: nearest.peer[device].as_f64(),
        })
    }

    fn ratio(&self) -> f64 {
        self.each / self.nearest_each
    }
}

fn rows(plan: &Plan, device: &str, counts: &Counts) -> (Vec<Row>, Vec<Row>) {
    let models = plan.models.iter();
    let kernels = plan.kernels.iter().filter(|kernel| kernel.is_shown);
    (
        models
            .filter_map(|model| Row::of_model(model, device, counts))
            .collect(),
        kernels
            .filter_map(|kernel| Row::of_kernel(kernel, device, counts))
            .collect(),
    )
}

fn sweep<'a>(plan: &'a Plan, device: &str, counts: &Counts) -> Vec<Apart<'a>> {
    let ops = plan.sweep.iter();
    ops.filter_map(|op| Apart::new(op, plan, device, counts))
        .collect()
}

/// Prints a device's tables.
pub fn print(plan: &Plan, device: &str, counts: &Counts) {
    println!("## {device}, {} kernels\n", counts.backend);
    let (models, kernels) = rows(plan, device, counts);
    if !models.is_empty() {
        println!(
            "| whole model, plan of layers | TFLite Micro + CMSIS-NN | instructions | ratio |"
        );
        println!("| --- | ---: | ---: | ---: |");
        for row in models {
            let peer = row.peer_insns.map_or(String::new(), grouped);
            let (ours, ratio) = (grouped(row.insns), cell(row.ratio()));
            println!("| {} | {peer} | {ours} | {ratio} |", row.name);
        }
        println!();
    }
    if !kernels.is_empty() {
        println!("| kernel alone | work | CMSIS-NN | each | instructions | each | ratio |");
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        for row in kernels {
            println!(
                "| {} | {} {} | {} | {} | {} | {:.2} | {} |",
                row.name,
                grouped(row.work),
                row.unit,
                row.peer_insns.map_or(String::new(), grouped),
                cell(row.peer_each),
                grouped(row.insns),
                row.each,
                cell(row.ratio()),
            );
        }
        println!();
    }
    let sweep = sweep(plan, device, counts);
    if !sweep.is_empty() {
        println!(
            "The nearest row is the one of the same kind with the fewest doublings, in all, of products per output code, \
             stride (these count four times), output channels and output pixels.\n"
        );
        println!(
            "| shape in no table | MAC | instructions | each | nearest row | ours there | ratio | CMSIS-NN there |"
        );
        println!("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |");
        for row in &sweep {
            println!(
                "| {} | {} | {} | {:.2} | {} | {:.2} | {:.2} | {} |",
                row.op.name(),
                grouped(row.op.macs()),
                grouped(row.insns),
                row.each,
                row.nearest.name(),
                row.nearest_each,
                row.ratio(),
                cell(row.peer_each),
            );
        }
        let slow = sweep.iter().filter(|row| row.ratio() > UNLIKE).count();
        println!(
            "\n{slow} of {} take more than {UNLIKE} times the instructions per MAC of the nearest row.\n",
            sweep.len()
        );
    }
}

fn cell(number: Option<f64>) -> String {
    number.map_or(String::new(), |number| format!("{number:.2}"))
}

/// A device's figures.
pub fn json(plan: &Plan, device: &str, counts: &Counts) -> Value {
    let row = |row: Row| {
        json!({
            "name": row.name, "work": row.work, "unit": row.unit, "insns": row.insns, "each": row.each,
            "peer_insns": row.peer_insns, "peer_each": row.peer_each, "ratio": row.ratio(),
        })
    };
    let apart = |row: &Apart<'_>| {
        json!({
            "name": row.op.name(), "macs": row.op.macs(), "insns": row.insns, "each": row.each,
            "nearest": row.nearest.name(), "nearest_each": row.nearest_each, "ratio": row.ratio(),
            "peer_each": row.peer_each,
        })
    };
    let (models, kernels) = rows(plan, device, counts);
    let sweep = sweep(plan, device, counts);
    json!({
        "on": device,
        "backend": counts.backend,
        "models": models.into_iter().map(row).collect::<Vec<_>>(),
        "kernels": kernels.into_iter().map(row).collect::<Vec<_>>(),
        "sweep": sweep.iter().map(apart).collect::<Vec<_>>(),
    })
}
