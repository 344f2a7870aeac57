//! Inference alone: no heap, no log, no float and no panic in the whole program, which `cargo xtask` proves from its symbols.
//!
//! Runs the model image once, where it is a valid one, and prints the class. Where the model says how pixels become codes, a
//! camera sends black rows of twice the input's size; others get rows of zeros. The exit code says how far it came.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use ocelli::camera::{Camera, CameraParams, PixelFormat, YuvRange};
use ocelli::{Image, InputError, KernelTable, Session};
use ocelli_qemu::{
    console::{hex, text},
    exit, memory,
};
use zerocopy::FromBytes;

const NO_IMAGE: i32 = 2;
const NO_SESSION: i32 = 3;
const NO_OUTPUT: i32 = 4;
const NO_CAMERA: i32 = 5;

#[entry]
fn main() -> ! {
    let Ok(image) = Image::parse(memory::model()) else {
        exit(NO_IMAGE);
    };
    let input = image.input();
    let frame = [2 * input.h, 2 * input.w];
    let format = PixelFormat::Yuyv(YuvRange::Full);
    let params = CameraParams::for_image(&image, format, frame);
    let row_bytes = format.row_bytes(frame[1]).max(input.row_elems());

    let memory = memory::take_arena();
    let row_at = memory.len().saturating_sub(row_bytes) / 16 * 16;
    let Some((memory, row)) = memory.split_at_mut_checked(row_at) else {
        exit(NO_SESSION);
    };
    let buffer_at = memory.len().saturating_sub(4 * params.buffer_words()) / 16 * 16;
    let Some((arena, buffer)) = memory.split_at_mut_checked(buffer_at) else {
        exit(NO_SESSION);
    };
    let kernels = KernelTable::all();
    let Ok(mut session) = Session::new(&image, arena, &kernels) else {
        exit(NO_SESSION);
    };
    if image.preprocess().is_some() {
        black(row);
        let row = row.get(..format.row_bytes(frame[1])).unwrap_or_default();
        let buffer = <[u32]>::mut_from_bytes(buffer).unwrap_or_default();
        let Ok(mut camera) = Camera::new(params, buffer) else {
            exit(NO_CAMERA);
        };
        for _ in 0..frame[0] {
            if watch(&mut camera, row, &mut session).is_err() {
                exit(NO_CAMERA);
            }
        }
    } else {
        let row = row.get(..input.row_elems()).unwrap_or_default();
        let row = <[i8]>::ref_from_bytes(row).unwrap_or_default();
        for _ in 0..input.h {
            let _ = session.push_row(row, &mut ());
        }
    }
    let Some((class, code)) = session.top() else {
        exit(NO_OUTPUT);
    };
    hex("class", class as u32);
    hex(", code", code as u32);
    text("\n");
    exit(0)
}

/// No luma, and chroma in its middle.
fn black(row: &mut [u8]) {
    for pair in row.chunks_exact_mut(2) {
        pair.copy_from_slice(&[0, 128]);
    }
}

/// A row of the camera, and all rows of the network that it completes.
fn watch(camera: &mut Camera<'_>, row: &[u8], session: &mut Session<'_>) -> Result<(), InputError> {
    camera.push_row(row)?;
    while let Some(pixels) = camera.next_row() {
        session.push_row(pixels, &mut ())?;
    }
    Ok(())
}
