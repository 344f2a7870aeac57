//! Architectures: a first line as a user may type it, then weights that are nearly right, input sides and classes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ocelli_convert::arch::Arch;
use ocelli_convert::weights::{StateDict, WeightTensor};
use ocelli_fuzz::{SMALL_CNN, run_graph};

/// One of each family, as small as it can be.
const SMALL: [&str; 7] = [
    SMALL_CNN,
    "resnet20:0.05",
    "mobilenet_v1:0.05",
    "mobilenet_v2:0.05",
    "efficientnet_b0:width=0.05,depth=0.05",
    "efficientnet_lite0:width=0.05,depth=0.05",
    "convnext_atto:width=0.05,depth=0.05",
];

static CASES: LazyLock<Vec<(Arch, StateDict)>> = LazyLock::new(|| {
    let case = |text| {
        let arch = Arch::parse(text).expect("an architecture");
        (arch, arch.random_weights(1, 3).expect("a network"))
    };
    SMALL.into_iter().map(case).collect()
});

/// Breaks a tensor: takes it away, gives it another shape, a value or a name.
fn wound(weights: &mut StateDict, at: u8, how: u8, value: u8) {
    let Some(name) = weights.keys().nth(usize::from(at)).cloned() else {
        return;
    };
    let Some(mut tensor) = weights.remove(&name) else {
        return;
    };
    match how {
        0 => return,
        1 => {
            tensor = WeightTensor {
                shape: vec![usize::from(value)],
                data: vec![1.0; value.into()],
            }
        }
        2 => tensor.shape.reverse(),
        3 => tensor
            .data
            .fill(f32::MAX * (f32::from(value) / 127.0 - 1.0)),
        4 => tensor.data.fill(f32::MIN_POSITIVE * f32::from(value)),
        _ => {
            weights.insert(format!("{name}{value}"), tensor);
            return;
        }
    }
    weights.insert(name, tensor);
}

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    let text = parts.next().and_then(|text| std::str::from_utf8(text).ok());
    let &[case, h0, h1, w0, w1, c0, c1, ref wounds @ ..] = parts.next().unwrap_or(&[]) else {
        return;
    };
    let (known, weights) = &CASES[usize::from(case) % SMALL.len()];
    let arch = text
        .and_then(|text| Arch::parse(text).ok())
        .unwrap_or(*known);
    assert_eq!(
        Arch::parse(&arch.to_string()).ok(),
        Some(arch),
        "what is shown can be typed"
    );
    let mut weights = weights.clone();
    for &[at, how, value] in wounds.as_chunks().0 {
        wound(&mut weights, at, how, value);
    }
    let [h, w, classes] = [[h0, h1], [w0, w1], [c0, c1]].map(u16::from_le_bytes);
    // A classifier of many classes only costs time.
    let classes = (classes > 0).then_some(usize::from(classes) % 2048);
    if let Ok(graph) = arch.build(&weights, h.into(), w.into(), classes) {
        run_graph(graph);
    }
});
