//! `cargo xtask sizes`: flash and RAM of the programs for boards.

use anyhow::Result;

use crate::audit;
use crate::elf::{Elf, Sizes};
use crate::firmware;
use crate::thumb::{TARGETS, Thumb};

/// Builds and measures every program.
pub fn sizes() -> Result<()> {
    let thumb = Thumb::detect(&TARGETS)?;
    let mut rows = Vec::new();
    for target in TARGETS {
        let elf = audit::build(&thumb, target)?;
        rows.push((format!("infer {target}"), Elf::read(&elf)?.sizes));
    }
    let device = firmware::emulated(&thumb, "m4")?;
    rows.push(("device m4".to_owned(), Elf::read(&device)?.sizes));
    for board in firmware::BOARDS {
        let elf = firmware::real(&thumb, board.name)?;
        rows.push((board.name.to_owned(), Elf::read(&elf)?.sizes));
    }
    print(&rows);
    Ok(())
}

/// A table of bytes.
pub fn print(rows: &[(String, Sizes)]) {
    println!("{:<32} {:>9} {:>9} {:>9}", "bytes", "text", "data", "bss");
    for (name, sizes) in rows {
        println!(
            "{name:<32} {:>9} {:>9} {:>9}",
            sizes.text, sizes.data, sizes.bss
        );
    }
}
