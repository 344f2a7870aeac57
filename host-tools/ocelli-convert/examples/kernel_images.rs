//! Writes model images of single ops with random weights, and of whole int8 files: what `cargo xtask bench` counts.
//!
//! `cargo run --release -p ocelli-convert --example kernel_images -- m4 FOLDER pointwise:24x24x8:48 conv:96x96x3:16:3x3:2`
//!
//! An op is its kind, its input and, where it has them, output channels, filter and stride; padding is TensorFlow's "same".
//! `file:PATH` is an int8 TensorFlow Lite file. Plans are of whole layers. Prints the images' paths, in order.

use std::error::Error;
use std::path::Path;

use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::quantize::{quantize_multiplier, softmax};
use ocelli_convert::target::{Target, pack};
use ocelli_convert::tflite;
use ocelli_image::{
    Body, Channels, Model, ModelOp, PaddingRecord, Tensor, WeightPacking, WindowRecord,
};

const ZERO_POINT: i8 = -128;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder, specs @ ..] = words.as_slice() else {
        return Err("give a target, a folder and ops".into());
    };
    let target = Target::from_name(target).ok_or_else(|| format!("{target} is no target"))?;
    for spec in specs {
        let mut model = match spec.strip_prefix("file:") {
            Some(path) => tflite::import(Path::new(path))?,
            None => single(spec).map_err(|error| format!("{spec}: {error}"))?,
        };
        pack(&mut model, target.packing());
        let model = plan(model, PlanKind::Layers)?;
        let name = spec.replace([':', '/', '.'], "-");
        let path = Path::new(folder).join(format!("{name}-{}.ocl", target.name()));
        std::fs::write(&path, model.encode()?.bytes())?;
        println!("{}", path.display());
    }
    Ok(())
}

/// A network of one op.
fn single(spec: &str) -> Result<Model, Box<dyn Error>> {
    let mut words = spec.split(':');
    let kind = words.next().unwrap_or_default();
    let input: [usize; 3] = numbers(words.next().ok_or("no input")?)?;
    let [h, w, c] = input;
    let words: Vec<&str> = words.collect();
    let mut random = Random(0);
    let (body, output) = match (kind, words.as_slice()) {
        ("pointwise", &[out]) => {
            let out = out.parse()?;
            let channels = random.channels(out, c);
            (Body::Pointwise { channels }, [h, w, out])
        }
        ("dense", &[out]) => {
            let out = out.parse()?;
            let channels = random.channels(out, h * w * c);
            (Body::Dense { channels }, [1, 1, out])
        }
        ("conv", &[out, filter, stride]) => {
            let out = out.parse()?;
            let (window, [h, w]) = same(input, numbers(filter)?, stride.parse()?);
            let products = usize::from(window.filter_h) * usize::from(window.filter_w) * c;
            let channels = random.channels(out, products);
            (Body::Conv2d { window, channels }, [h, w, out])
        }
        ("depthwise", &[filter, stride]) => {
            let (window, [h, w]) = same(input, numbers(filter)?, stride.parse()?);
            let products = usize::from(window.filter_h) * usize::from(window.filter_w);
            let body = Body::Depthwise {
                window,
                depth_multiplier: 1,
                channels: random.depthwise(c, products),
            };
            (body, [h, w, c])
        }
        ("average_pool", []) => {
            let filter = [u8::try_from(h)?, u8::try_from(w)?];
            let (window, _) = same([1, 1, c], filter, 1);
            let body = Body::AveragePool {
                window: WindowRecord {
                    padding: NO_PADDING,
                    ..window
                },
                clamp: [-128, 127],
            };
            (body, [1, 1, c])
        }
        ("add", []) => {
            // Of scales 0.05 and 0.04, to 0.06.
            let body = Body::Add {
                factors: [0.5, 0.4].map(quantize_multiplier),
                output_factor: quantize_multiplier(0.1 / (f64::from(1 << 20) * 0.06)),
                clamp: [-128, 127],
            };
            (body, input)
        }
        ("softmax", []) => (softmax(1.0, 0.1), input),
        _ => return Err("is no op that is known here".into()),
    };
    // An addition reads two tensors: the input, and what a maximum over single pixels makes of it.
    let copy = (kind == "add").then(|| {
        let (window, _) = same(input, [1, 1], 1);
        let clamp = [-128, 127];
        op(Body::MaxPool { window, clamp }, [0, 0])
    });
    let mut tensors = vec![tensor(input); 1 + usize::from(copy.is_some())];
    tensors.push(tensor(output));
    let inputs = [0, usize::from(copy.is_some())];
    let ops: Vec<ModelOp> = copy.into_iter().chain([op(body, inputs)]).collect();
    Ok(Model {
        arena_bytes: 0,
        tensors,
        segments: vec![1; ops.len()],
        ops,
        head: None,
        preprocess: None,
        labels: vec![],
        names: vec![],
        tensor_scale: vec![],
        regions: vec![],
    })
}

/// Numbers with an x between them.
fn numbers<T: std::str::FromStr, const N: usize>(text: &str) -> Result<[T; N], Box<dyn Error>> {
    let numbers: Result<Vec<T>, _> = text.split('x').map(str::parse).collect();
    let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| format!("{text}: not {N} numbers with an x between them").into())
}

const NO_PADDING: PaddingRecord = PaddingRecord {
    top: 0,
    bottom: 0,
    left: 0,
    right: 0,
};

/// A window with "same" padding, and the output's rows and columns.
fn same([h, w, _]: [usize; 3], filter: [u8; 2], stride: u8) -> (WindowRecord, [usize; 2]) {
    let side = |input: usize, filter: u8| {
        let output = input.div_ceil(stride.into());
        let reach = (output - 1) * usize::from(stride) + usize::from(filter);
        // Less than a filter.
        let padding = reach.saturating_sub(input) as u8;
        (output, padding / 2, padding - padding / 2)
    };
    let (rows, top, bottom) = side(h, filter[0]);
    let (columns, left, right) = side(w, filter[1]);
    let window = WindowRecord {
        filter_h: filter[0],
        filter_w: filter[1],
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        padding: PaddingRecord {
            top,
            bottom,
            left,
            right,
        },
    };
    (window, [rows, columns])
}

fn tensor([h, w, c]: [usize; 3]) -> Tensor {
    Tensor {
        h,
        w,
        c,
        zero_point: ZERO_POINT,
        offset: 0,
        rows_held: h,
    }
}

fn op(body: Body<Channels>, inputs: [usize; 2]) -> ModelOp {
    ModelOp {
        body,
        inputs,
        weight_packing: WeightPacking::Canonical,
        rows_per_step: 1,
        scratch: (0, 0),
    }
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Filters one after another, each of so many weights.
    fn channels(&mut self, count: usize, products: usize) -> Channels {
        self.filters(count, products, |channel, at| channel * products + at)
    }

    /// Filters side by side.
    fn depthwise(&mut self, count: usize, products: usize) -> Channels {
        self.filters(count, products, |channel, at| at * count + channel)
    }

    /// Filters whose sums, with the input's zero point folded in, fill the output's codes.
    fn filters(
        &mut self,
        count: usize,
        products: usize,
        place: impl Fn(usize, usize) -> usize,
    ) -> Channels {
        let mut weights = vec![0i8; count * products];
        let (mut bias, mut multiplier, mut shift) = (vec![], vec![], vec![]);
        for channel in 0..count {
            let mut sum = 0;
            for at in 0..products {
                let weight = (self.bits() % 255) as i32 - 127;
                sum += weight;
                // At most 127.
                weights[place(channel, at)] = weight as i8;
            }
            bias.push(-i32::from(ZERO_POINT) * sum + (self.bits() % 2048) as i32);
            // A weight and a code are about 10,000 together.
            let spread = 10_000.0 * (products as f64).sqrt();
            let between_half_and_one = 0.5 + (self.bits() % 1000) as f64 / 2000.0;
            let factor = quantize_multiplier(between_half_and_one * 60.0 / spread);
            multiplier.push(factor.multiplier);
            // Between -31 and -1.
            shift.push(factor.shift as i8);
        }
        Channels {
            weights,
            bias,
            multiplier,
            shift,
            clamp: [-128, 127],
            weight_scale: vec![],
        }
    }
}
