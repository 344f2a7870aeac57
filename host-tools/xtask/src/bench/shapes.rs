//! Single ops: their shapes, how alike two of them are, and fifty that are in no table.

use anyhow::{Context, Result, bail};

/// An op by itself, as the example `kernel_images` takes it: kind, input, and output channels, filter and stride where it
/// has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    pub spec: String,
    kind: Kind,
    input: [u64; 3],
    output: [u64; 3],
    filter: [u64; 2],
    stride: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pointwise,
    Depthwise,
    Conv,
    Dense,
    AveragePool,
    Add,
    Softmax,
}

impl Op {
    pub fn parse(spec: &str) -> Result<Self> {
        let mut words = spec.split(':');
        let kind = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let (kind, input, out, window) = match (kind, words.as_slice()) {
            ("pointwise", &[input, out]) => (Kind::Pointwise, input, Some(out), None),
            ("dense", &[input, out]) => (Kind::Dense, input, Some(out), None),
            ("depthwise", &[input, filter, stride]) => {
                (Kind::Depthwise, input, None, Some((filter, stride)))
            }
            ("conv", &[input, out, filter, stride]) => {
                (Kind::Conv, input, Some(out), Some((filter, stride)))
            }
            ("average_pool", &[input]) => (Kind::AveragePool, input, None, None),
            ("add", &[input]) => (Kind::Add, input, None, None),
            ("softmax", &[input]) => (Kind::Softmax, input, None, None),
            _ => bail!("{spec}: no op that is known here"),
        };
        let [h, w, c] = numbers(input)?;
        let (filter, stride) = match window {
            Some((filter, stride)) => (numbers(filter)?, stride.parse()?),
            None => ([1, 1], 1),
        };
        let out = out.map_or(Ok(c), str::parse)?;
        let output = match kind {
            Kind::Dense | Kind::AveragePool => [1, 1, out],
            _ => [h.div_ceil(stride), w.div_ceil(stride), out],
        };
        Ok(Self {
            spec: spec.to_owned(),
            kind,
            input: [h, w, c],
            output,
            filter,
            stride,
        })
    }

    /// Products of a code and a weight for each code of the output; none for ops without weights.
    fn products(&self) -> u64 {
        let [h, w, c] = self.input;
        let filter = self.filter[0] * self.filter[1];
        match self.kind {
            Kind::Pointwise | Kind::Conv => filter * c,
            Kind::Depthwise => filter,
            Kind::Dense => h * w * c,
            Kind::AveragePool | Kind::Add | Kind::Softmax => 0,
        }
    }

    pub fn macs(&self) -> u64 {
        self.products() * self.output.iter().product::<u64>()
    }

    /// What instructions are divided by, and its name.
    pub fn units(&self) -> (u64, &'static str) {
        match self.kind {
            Kind::AveragePool | Kind::Add => (self.input.iter().product(), "codes"),
            Kind::Softmax => (1, "op"),
            _ => (self.macs(), "MAC"),
        }
    }

    /// How people write it.
    pub fn name(&self) -> String {
        let [h, w, c] = self.input;
        let ([fh, fw], stride, out) = (self.filter, self.stride, self.output[2]);
        match self.kind {
            Kind::Pointwise => format!("pointwise {h}x{w}x{c} -> {out}"),
            Kind::Dense => format!("dense {} -> {out}", h * w * c),
            Kind::Depthwise => format!("depthwise {fh}x{fw} {h}x{w}x{c} stride {stride}"),
            Kind::Conv => format!("conv {fh}x{fw} stride {stride} {h}x{w}x{c} -> {out}"),
            Kind::AveragePool => format!("average pool {h}x{w}x{c}"),
            Kind::Add => format!("add {h}x{w}x{c}"),
            Kind::Softmax => format!("softmax of {c}"),
        }
    }

    /// How unlike an op of the same kind is: how many times the products of an output code, the stride, the output's
    /// channels and its pixels have to be doubled or halved, all together. Products and stride count four times, since
    /// what an output code costs hangs on them. Nothing for an op of another kind.
    pub fn distance(&self, other: &Op) -> Option<f64> {
        let doublings = |a: u64, b: u64| (a as f64 / b as f64).log2().abs();
        (self.kind == other.kind).then(|| {
            4.0 * doublings(self.products(), other.products())
                + 4.0 * doublings(self.stride, other.stride)
                + doublings(self.output[2], other.output[2])
                + doublings(
                    self.output[0] * self.output[1],
                    other.output[0] * other.output[1],
                )
        })
    }
}

fn numbers<const N: usize>(text: &str) -> Result<[u64; N]> {
    let numbers: Result<Vec<u64>, _> = text.split('x').map(str::parse).collect();
    let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers.with_context(|| format!("{text}: not {N} numbers with an x between them"))
}

/// Sides of maps: many are no multiple of four.
const SIDES: [u64; 14] = [3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 20, 25, 28];
/// Channels that networks have; half of all are any number up to 320.
const CHANNELS: [u64; 16] = [
    1, 3, 5, 8, 12, 16, 20, 24, 32, 40, 48, 72, 96, 120, 160, 320,
];
/// Filters with their strides: those of convolutions, and of depthwise ones.
const CONV: [(u64, u64); 7] = [(3, 1), (3, 2), (3, 1), (5, 1), (5, 2), (7, 2), (1, 2)];
const DEPTHWISE: [(u64, u64); 6] = [(3, 1), (3, 2), (3, 1), (5, 1), (5, 2), (7, 1)];
/// Enough work that starting an op is little of it, and not so much that counting takes long.
const MACS: std::ops::RangeInclusive<u64> = 20_000..=1_500_000;

/// Twenty pointwise convolutions, sixteen depthwise ones and fourteen others, drawn at random, the same every time.
pub fn sweep() -> Result<Vec<Op>> {
    let mut random = Random(1);
    let mut ops: Vec<Op> = Vec::new();
    while ops.len() < 50 {
        let [h, w] = [random.pick(&SIDES), random.pick(&SIDES)];
        let [c, out] = [random.channels(), random.channels()];
        let spec = match ops.len() {
            // Fewer input channels than the tables' least are all requantization, and in no network.
            0..20 => format!("pointwise:{h}x{w}x{}:{out}", c.max(8)),
            20..36 => {
                let (filter, stride) = random.pick(&DEPTHWISE);
                format!("depthwise:{h}x{w}x{c}:{filter}x{filter}:{stride}")
            }
            _ => {
                let (filter, stride) = random.pick(&CONV);
                format!("conv:{h}x{w}x{c}:{out}:{filter}x{filter}:{stride}")
            }
        };
        let op = Op::parse(&spec)?;
        if MACS.contains(&op.macs()) && !ops.contains(&op) {
            ops.push(op);
        }
    }
    Ok(ops)
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn channels(&mut self) -> u64 {
        match self.below(2) {
            0 => self.pick(&CHANNELS),
            _ => 1 + self.below(320),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(spec: &str) -> Op {
        Op::parse(spec).expect("an op")
    }

    #[test]
    fn products_are_those_of_the_peers_table() {
        assert_eq!(op("pointwise:24x24x8:48").macs(), 221_184);
        assert_eq!(op("depthwise:24x24x48:3x3:2").macs(), 62_208);
        assert_eq!(op("conv:96x96x3:16:3x3:2").macs(), 995_328);
        assert_eq!(op("dense:1x1x1280:10").macs(), 12_800);
        assert_eq!(op("average_pool:8x8x64").units(), (4096, "codes"));
        assert_eq!(op("softmax:1x1x10").units(), (1, "op"));
    }

    #[test]
    fn ops_are_as_unlike_as_their_work_has_to_be_doubled() {
        let distance = |a, b| op(a).distance(&op(b));
        let row = "pointwise:24x24x32:64";
        assert_eq!(distance(row, row), Some(0.0));
        // Half the products, a quarter of the channels, half the columns.
        assert_eq!(
            distance("pointwise:24x12x16:16", row),
            Some(4.0 + 2.0 + 1.0)
        );
        assert_eq!(distance("conv:24x24x32:64:1x1:1", row), None);
        let [one, two] = ["depthwise:9x9x8:3x3:1", "depthwise:18x18x8:3x3:2"];
        assert_eq!(distance(one, two), Some(4.0));
    }

    #[test]
    fn the_sweep_is_fifty_shapes_the_same_every_time_many_of_them_odd() {
        let ops = sweep().expect("ops");
        assert_eq!(ops.len(), 50);
        assert_eq!(sweep().expect("ops"), ops);
        let odd = ops.iter().filter(|op| op.input[2] % 2 == 1);
        assert!(odd.count() >= 10);
        let narrow = ops.iter().filter(|op| op.output[1] < 8);
        assert!(narrow.count() >= 10);
    }
}
