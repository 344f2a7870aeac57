//! What memory is planned for: the options that `convert` and `replan` share.

use ocelli_convert::plan::PlanKind;

/// How memory is planned.
#[derive(clap::Args)]
pub struct PlanArgs {
    /// What memory is planned for
    #[arg(long, value_enum, default_value_t = Plan::Small)]
    plan: Plan,
    /// The fastest plan in so many bytes of memory, the executor's state included; K stands for 1024
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, conflicts_with = "plan")]
    ram: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Plan {
    /// The smallest arena: ops stream row by row
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
}
