//! The loop that answers the host.

use alloc::vec;

use ocelli::{Image, KernelTable};
use ocelli_link::{Buffers, Device, FrameReader, Reply, Request, decode_request, encode};

use crate::Memory;

/// The line to the host.
pub trait ByteLink {
    /// Waits for a byte.
    fn read(&mut self) -> u8;
    /// Sends bytes.
    fn write(&mut self, bytes: &[u8]);
}

/// A clock, for the logs.
pub trait Clock {
    /// Microseconds since any moment.
    fn micros(&mut self) -> u64;
}

// What the heap's own bookkeeping may take beside the three allocations made here.
const HEAP_RESERVE_BYTES: usize = 256;

/// Answers the host until it says goodbye.
///
/// `model` is the region that should hold a model image, and `heap_bytes` what the heap has left: the link's buffers come
/// out of it, and all that remains is the device's memory.
pub fn serve(
    link: &mut impl ByteLink,
    clock: &mut impl Clock,
    model: &'static [u8],
    kernels: &KernelTable,
    heap_bytes: usize,
) {
    let image = Image::parse(model);
    if let Err(error) = &image {
        defmt::warn!("no model image: {}", error);
    }
    let image = image.ok();
    let buffers = Buffers::new(image.as_ref());
    let mut request_buffer = vec![0; buffers.request_bytes];
    let mut reply_buffer = vec![0; buffers.reply_bytes];
    let taken = buffers.request_bytes + buffers.reply_bytes + HEAP_RESERVE_BYTES;
    let mut memory = Memory::take(heap_bytes.saturating_sub(taken));
    let memory = memory.as_mut_bytes();
    defmt::info!("{} bytes of memory for the device", memory.len());

    let mut device = Device::new(image.as_ref(), kernels, memory);
    let mut frames = FrameReader::new(&mut request_buffer);
    let mut begun_us = 0;
    loop {
        let Some(frame) = frames.push(link.read()) else {
            continue;
        };
        let mut send = |reply: &Reply<'_>| {
            // The buffer holds every reply that this image can lead to.
            if let Some(frame) = encode(reply, &mut reply_buffer) {
                link.write(frame);
            }
        };
        match frame.and_then(decode_request) {
            Ok(request) => {
                device.handle(&request, &mut |reply| {
                    send(reply);
                    log(&request, reply, clock.micros().saturating_sub(begun_us));
                });
                match request {
                    Request::Begin { .. } => begun_us = clock.micros(),
                    Request::Bye => return,
                    _ => {}
                }
            }
            Err(error) => device.refuse(error, &mut send),
        }
    }
}

/// Logs what somebody who watches a board wants to know.
fn log(request: &Request<'_>, reply: &Reply<'_>, since_begun_us: u64) {
    match (request, reply) {
        (Request::Row { .. } | Request::Codes { .. }, Reply::Scores { .. }) => {
            defmt::info!(
                "seen within {} us, the line's time included",
                since_begun_us
            );
        }
        (_, Reply::Trained(trained)) => defmt::info!(
            "trained {} steps, {} of {} held-out samples right",
            trained.steps,
            trained.correct_after,
            trained.held_out
        ),
        (_, Reply::Refused(_)) => defmt::warn!("refused a request"),
        _ => {}
    }
}
