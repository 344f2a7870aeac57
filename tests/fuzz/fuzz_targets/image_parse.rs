//! Any bytes: if `parse` lets them in and a session can be made, a run ends without a panic.
//!
//! ```text
//! mkdir -p corpus/image_parse && cp ../data/golden-v1.ocl corpus/image_parse/
//! cargo +nightly fuzz run image_parse
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_tests::fate::fate;
use ocelli_tests::surgery::{Surgery, header};

fuzz_target!(|bytes: &[u8]| {
    let mut surgery = Surgery(bytes.to_vec());
    fate(&surgery.buffer());
    // The same with a header that the door believes.
    if bytes.len() >= header::BYTES {
        surgery.set(header::MAGIC, b"OCLI");
        surgery.set_u32(header::IMAGE_BYTES, bytes.len() as u32);
        surgery.set_u16(header::VERSION, 1);
        surgery.seal();
        fate(&surgery.buffer());
    }
});
