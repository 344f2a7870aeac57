//! What memory is planned for: the options that `convert` and `replan` share.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use ocelli_convert::plan::{Memory, PlanKind};
use ocelli_convert::target::Target;
use ocelli_image::MAX_REGIONS;

/// How memory is planned.
#[derive(clap::Args)]
pub struct PlanArgs {
    /// What memory is planned for
    #[arg(long, value_enum, default_value_t = Plan::Small)]
    plan: Plan,
    /// The fastest plan in so many bytes of memory, the executor's state included; K stands for 1024
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, conflicts_with = "plan")]
    ram: Option<usize>,
    /// The device's memories, the fastest first; what is read and written most for its size lies there
    #[arg(long, value_name = "NAME=BYTES", value_delimiter = ',', value_parser = parse_memory)]
    memory: Vec<Memory>,
}

/// A processor, by its name.
pub fn parse_target(name: &str) -> Result<Target, String> {
    Target::from_name(name).ok_or_else(|| {
        let names = Target::ALL.map(Target::name);
        format!("there is {}", names.join(", "))
    })
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Plan {
    /// The smallest arena, but for an eighth at most that makes kernels faster: ops stream row by row
    Small,
    /// The fewest estimated instructions, and of such plans the smallest arena
    Fast,
    /// The smallest arena with cuts only between blocks, where a single tensor crosses
    Blocks,
    /// Every tensor whole, one op after another
    Layers,
}

impl PlanArgs {
    /// What was asked for.
    pub fn kind(&self) -> PlanKind {
        match (self.ram, self.plan) {
            (Some(bytes), _) => PlanKind::Within(bytes),
            (None, Plan::Small) => PlanKind::Small,
            (None, Plan::Fast) => PlanKind::Fast,
            (None, Plan::Blocks) => PlanKind::Blocks,
            (None, Plan::Layers) => PlanKind::Layers,
        }
    }

    /// The device's memories; none if nothing was said about them.
    pub fn memories(&self) -> Result<Vec<Memory>> {
        let names: BTreeSet<&str> = self.memory.iter().map(|memory| &*memory.name).collect();
        if self.memory.len() > MAX_REGIONS || names.len() < self.memory.len() {
            bail!("--memory takes up to {MAX_REGIONS} memories with names of their own");
        }
        Ok(self.memory.clone())
    }
}

fn parse_memory(text: &str) -> Result<Memory, String> {
    let (name, bytes) = text
        .split_once('=')
        .ok_or("give a name and bytes, such as dtcm=128K")?;
    if !(1..=12).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a name has one to twelve letters, digits or signs, all ASCII".to_string());
    }
    let bytes = parse_bytes(bytes)?;
    let name = name.to_string();
    Ok(Memory { name, bytes })
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.strip_suffix(['K', 'k']) {
        Some(number) => (number, 1024),
        None => (text, 1),
    };
    let bytes = number.parse::<usize>().ok();
    let bytes = bytes.and_then(|bytes| bytes.checked_mul(unit));
    bytes.ok_or_else(|| "give a number of bytes, such as 131072 or 128K".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_in_bytes_or_in_units_of_1024() {
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert_eq!(parse_bytes("128K"), Ok(131_072));
        assert!(parse_bytes("K").is_err() && parse_bytes("1M").is_err());
    }

    #[test]
    fn a_memory_has_a_name_and_bytes() {
        let memory = parse_memory("dtcm=128K").unwrap();
        assert_eq!((&*memory.name, memory.bytes), ("dtcm", 131_072));
        for wrong in ["128K", "=128K", "dtcm=", "a b=1K", "thirteen-long=1K"] {
            assert!(parse_memory(wrong).is_err(), "{wrong}");
        }
    }
}
