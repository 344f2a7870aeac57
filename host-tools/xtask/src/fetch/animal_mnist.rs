//! Animal-MNIST: two pickled numpy arrays, read without a pickle machine.
//!
//! Numpy always pickles a plain array in the same words. The words are made here for the shape that we expect and
//! compared byte by byte, so that nothing in the file is ever interpreted, and any other file is refused.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::verify;
use super::wheel::Wheel;
use crate::progress;

const DATA: &str = "animal_mnist/data/Animal_MNIST/animal_data_version_3.gz";
const LABELS: &str = "animal_mnist/data/Animal_MNIST/animal_label_version_3.gz";

/// In the order of the labels, as the package's description names them.
const CLASSES: [&str; 10] = [
    "bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra",
];
const IMAGES: usize = 10_000;
const SIDE: usize = 28;
const PER_CLASS: usize = 200;

/// Writes `train/<class>/*.png` and `test/<class>/*.png`, 200 images of each class each.
pub fn unpack(wheel: &mut Wheel, to: &Path) -> Result<()> {
    let data = gunzip(&wheel.read(DATA)?).context(DATA)?;
    let labels = gunzip(&wheel.read(LABELS)?).context(LABELS)?;
    let pixels = array(&data, &[IMAGES, SIDE, SIDE], "u1").context(DATA)?;
    let labels = array(&labels, &[IMAGES], "i8").context(LABELS)?;
    let images = pixels.as_chunks::<{ SIDE * SIDE }>().0;
    let images: Vec<&[u8]> = images.iter().map(<[u8; _]>::as_slice).collect();
    let labels: Vec<u64> = labels
        .as_chunks::<8>()
        .0
        .iter()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .collect();

    let bar = progress::bar(2 * PER_CLASS * CLASSES.len(), "writing Animal-MNIST");
    for (class, name) in CLASSES.iter().enumerate() {
        let of_class = (0..IMAGES).filter(|&index| labels[index] == class as u64);
        let chosen = in_order_of_hash(of_class, &images);
        if chosen.len() < 2 * PER_CLASS {
            bail!("{DATA} has {} different images of {name}", chosen.len());
        }
        for (part, indices) in ["train", "test"].iter().zip(chosen.chunks(PER_CLASS)) {
            let folder = to.join(part).join(name);
            fs::create_dir_all(&folder)?;
            for &index in indices {
                write_png(&folder.join(format!("{index:04}.png")), images[index])?;
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Orders by the hash of the pixels, which is as good as random and the same everywhere. An image that occurs twice
/// (284 do) is taken once: the same picture must not be in both halves.
fn in_order_of_hash(indices: impl Iterator<Item = usize>, images: &[&[u8]]) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut hashed: Vec<(String, usize)> = indices
        .map(|index| (verify::hex(images[index]), index))
        .filter(|(hash, _)| seen.insert(hash.clone()))
        .collect();
    hashed.sort();
    hashed.into_iter().map(|(_, index)| index).collect()
}

fn write_png(path: &Path, pixels: &[u8]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    // Uncompressed and unfiltered, the bytes do not depend on the version of the encoder; they are checked by hash.
    encoder.set_compression(png::Compression::NoCompression);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// The elements of a pickled array of exactly this shape and type.
fn array<'a>(pickle: &'a [u8], shape: &[usize], dtype: &str) -> Result<&'a [u8]> {
    let item_bytes: usize = dtype[1..].parse()?;
    let payload_len = shape.iter().product::<usize>() * item_bytes;
    let elements = pickle
        .strip_prefix(opening(shape, dtype, payload_len).as_slice())
        .and_then(|rest| rest.split_at_checked(payload_len))
        .filter(|(_, rest)| *rest == CLOSING)
        .map(|(elements, _)| elements);
    elements.with_context(|| format!("not a pickled numpy array of {dtype} {shape:?}"))
}

/// A frame of 5 bytes that memoizes the elements, closes the tuple and builds the array.
const CLOSING: &[u8] = b"\x95\x05\0\0\0\0\0\0\0\x94t\x94b.";

/// What stands before the elements: `_reconstruct(ndarray, (0,), b"b")` and the state up to the elements.
fn opening(shape: &[usize], dtype: &str, payload_len: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let global = |frame: &mut Vec<u8>, module: Option<&str>, name: &str| {
        match module {
            Some(module) => text(frame, module),
            // `numpy` is the fourth thing that was memoized.
            None => frame.extend(b"h\x03"),
        }
        text(frame, name);
        frame.extend(b"\x93\x94");
    };
    global(&mut frame, Some("numpy.core.multiarray"), "_reconstruct");
    global(&mut frame, Some("numpy"), "ndarray");
    frame.extend(b"K\0\x85\x94C\x01b\x94\x87\x94R\x94(K\x01");
    for &size in shape {
        match u8::try_from(size) {
            Ok(size) => frame.extend([b'K', size]),
            Err(_) => {
                frame.push(b'M');
                frame.extend((size as u16).to_le_bytes());
            }
        }
    }
    // Tuples of one to three elements have opcodes of their own.
    frame.extend([0x84 + shape.len() as u8, 0x94]);
    global(&mut frame, None, "dtype");
    text(&mut frame, dtype);
    frame.extend(b"\x89\x88\x87\x94R\x94(K\x03");
    // One byte has no byte order.
    text(&mut frame, if dtype == "u1" { "|" } else { "<" });
    frame.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t\x94b\x89");

    let mut opening = b"\x80\x04\x95".to_vec();
    opening.extend((frame.len() as u64).to_le_bytes());
    opening.extend(frame);
    opening.push(b'B');
    opening.extend((payload_len as u32).to_le_bytes());
    opening
}

fn text(frame: &mut Vec<u8>, text: &str) {
    frame.extend([0x8c, text.len() as u8]);
    frame.extend(text.as_bytes());
    frame.push(0x94);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `pickle.dumps(numpy.array(range(70000), dtype="u1"), 4)` of numpy 1 begins and ends with.
    fn pickled(elements: &[u8]) -> Vec<u8> {
        let mut pickle = b"\x80\x04\x95\x84\0\0\0\0\0\0\0\x8c\x15numpy.core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\
            \x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\0\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x03\x86\x94\
            h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNN\
            J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t\x94b\x89B\x06\0\0\0"
            .to_vec();
        pickle[3] = (pickle.len() - 11 - 5) as u8;
        pickle.extend(elements);
        pickle.extend(CLOSING);
        pickle
    }

    #[test]
    fn the_elements_of_an_array_are_found() {
        let pickle = pickled(b"abcdef");
        let elements = array(&pickle, &[2, 3], "u1").expect("as numpy writes it");
        assert_eq!(elements, b"abcdef");
    }

    #[test]
    fn another_shape_or_type_or_length_is_refused() {
        let pickle = pickled(b"abcdef");
        assert!(array(&pickle, &[3, 2], "u1").is_err());
        assert!(array(&pickle, &[2, 3], "i8").is_err());
        assert!(array(&pickle[..pickle.len() - 1], &[2, 3], "u1").is_err());
        assert!(array(&pickled(b"abcdefg"), &[2, 3], "u1").is_err());
    }

    #[test]
    fn a_pickle_that_calls_anything_else_is_refused() {
        let mut pickle = pickled(b"abcdef");
        let at = pickle
            .windows(5)
            .position(|window| window == b"numpy")
            .expect("numpy is named");
        pickle[at..at + 5].copy_from_slice(b"posix");
        assert!(array(&pickle, &[2, 3], "u1").is_err());
    }

    #[test]
    fn an_image_that_occurs_twice_is_taken_once() {
        let images: [&[u8]; 4] = [b"a", b"b", b"a", b"c"];
        let mut order = in_order_of_hash(0..4, &images);
        order.sort();
        assert_eq!(order, [0, 1, 3]);
    }
}
