//! Any bytes: if `parse` lets them in and a session can be made, a run ends without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_fuzz::run_image;
use ocelli_tests::surgery::{Surgery, header};

fuzz_target!(|bytes: &[u8]| {
    let mut surgery = Surgery(bytes.to_vec());
    run_image(&surgery.buffer());
    // The same with a header that the door believes.
    if bytes.len() >= header::BYTES {
        surgery.set(header::MAGIC, b"OCLI");
        surgery.set_u32(header::IMAGE_BYTES, bytes.len() as u32);
        surgery.set_u16(header::VERSION, 1);
        surgery.seal();
        run_image(&surgery.buffer());
    }
});
