//! Writes a model image of an architecture with made-up weights: real in size, plan and cost, and of no use otherwise.
//!
//! `cargo run --release -p ocelli-convert --example sketch -- mobilenet_v2:0.35 OUT.ocl [SIDE]`

use std::error::Error;

use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use ocelli_convert::plan::PlanKind;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, output, side @ ..] = words.as_slice() else {
        return Err(
            "give an architecture, the file to write and, if you like, the side of the input"
                .into(),
        );
    };
    let arch = Arch::parse(name)?;
    let input = match side.first() {
        Some(side) => {
            let side = side.parse()?;
            (side, side)
        }
        None => arch.default_input(),
    };
    let sketch = Sketch::new(&arch, input, arch.default_classes())?;
    let planned = sketch.plan(PlanKind::Layers)?;
    std::fs::write(output, planned.model.encode()?.bytes())?;
    Ok(())
}
