//! Random wounds under a right checksum: whatever is let in runs to its end, without a panic and in bounded steps.

use ocelli_image::SectionKind;
use ocelli_tests::fate::{Fate, fate};
use ocelli_tests::network::Network;
use ocelli_tests::random::{Random, cases};
use ocelli_tests::surgery::Surgery;
use ocelli_tests::{golden, plan};

/// A number that is close to where something ends.
fn interesting(random: &mut Random) -> u64 {
    let near = random.pick(&[0, 1, 2, 3, 4, 8, 16, 127, 255, 256, 65_535, 1 << 31]);
    match random.below(4) {
        0 => random.bits(),
        1 => 0u64.wrapping_sub(near),
        _ => near.wrapping_add(random.below(3) as u64).wrapping_sub(1),
    }
}

/// One to four numbers of the header, of records or of weights are others.
fn wound(surgery: &mut Surgery, random: &mut Random) {
    for _ in 0..random.size(1..=4) {
        let places = match random.below(10) {
            0 => 8..32,
            1 => 32..32 + 16 * 9,
            2 | 3 => surgery.section(SectionKind::Tensors),
            4 | 5 => surgery.section(SectionKind::Ops),
            6 | 7 => surgery.section(SectionKind::Params),
            8 => surgery.section(SectionKind::Segments),
            _ => surgery.section(SectionKind::Weights),
        };
        let bytes = random.pick(&[1, 2, 2, 4]);
        let at = places.start + random.below(places.len());
        let at = (at / bytes * bytes).min(surgery.0.len() - bytes);
        let value = match random.below(3) {
            // A little more or less than before.
            0 => u64::from(surgery.0[at])
                .wrapping_add(random.below(5) as u64)
                .wrapping_sub(2),
            _ => interesting(random),
        };
        surgery.set(at, &value.to_le_bytes()[..bytes]);
        // A section table that no longer names every section is the end of this patient.
        if (8..32 + 16 * 9).contains(&at) {
            break;
        }
    }
    surgery.seal();
}

#[test]
fn a_wounded_image_is_refused_or_runs_to_its_end() {
    let healthy = [golden::model(), golden::later::model()].map(|model| {
        let golden = model.encode().expect("a valid model");
        Surgery(golden.bytes().to_vec())
    });
    let mut fates = [0; 4];
    cases(60_000, |random| {
        let mut surgery = healthy[usize::from(random.once_in(3))].clone();
        wound(&mut surgery, random);
        fates[fate(&surgery.buffer()) as usize] += 1;
    });
    println!("refused, not loaded, ran, too long: {fates:?}");
    // The test means something only while all of the first three are common, and the last is rare.
    assert!(fates[..3].iter().all(|&count| count > 2000), "{fates:?}");
    assert!(fates[3] < 400, "{fates:?}");
}

#[test]
fn random_networks_that_are_wounded_are_refused_or_run_to_their_end() {
    let mut fates = [0; 4];
    cases(4000, |random| {
        let mut model = Network::random(random).model();
        plan::plan(&mut model, random);
        for _ in 0..random.size(1..=3) {
            let at = random.below(model.tensors.len());
            let number = interesting(random) as usize;
            let small = random.size(1..=9);
            let ops = model.ops.len();
            let tensor = &mut model.tensors[at];
            match random.below(10) {
                0 => tensor.h = small,
                1 => tensor.w = small,
                2 => tensor.c = small,
                3 => tensor.rows_held = small.min(tensor.h),
                4 => tensor.offset = number,
                5 => tensor.zero_point = number as i8,
                6 => model.arena_bytes = number,
                7 => model.ops[at % ops].rows_per_step = number,
                8 => model.ops[at % ops].inputs = [small % (at + 1); 2],
                _ => {
                    let other = model.ops[random.below(ops)].body.clone();
                    model.ops[at % ops].body = other;
                }
            }
        }
        let fate = model.encode().map_or(Fate::Refused, |buffer| fate(&buffer));
        fates[fate as usize] += 1;
    });
    println!("refused, not loaded, ran, too long: {fates:?}");
    assert!(fates[..3].iter().all(|&count| count > 300), "{fates:?}");
}
