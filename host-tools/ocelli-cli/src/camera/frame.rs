//! A photo as the bytes that a camera would send.

use image::RgbImage;
use ocelli::camera::{ByteOrder, PixelFormat, YuvRange};

/// Pixels in a row: where two share their chroma, an odd one is left out.
pub fn width(width: u32, format: PixelFormat) -> usize {
    let width = width as usize;
    if format.is_paired() {
        width - width % 2
    } else {
        width
    }
}

/// The photo's rows, from top to bottom.
pub fn rows(picture: &RgbImage, format: PixelFormat) -> impl Iterator<Item = Vec<u8>> + '_ {
    let columns = width(picture.width(), format);
    picture.rows().map(move |row| {
        let pixels: Vec<[u8; 3]> = row.take(columns).map(|pixel| pixel.0).collect();
        bytes(&pixels, format)
    })
}

fn bytes(row: &[[u8; 3]], format: PixelFormat) -> Vec<u8> {
    match format {
        PixelFormat::Grey => row
            .iter()
            .map(|&pixel| luma_code(YuvRange::Full, pixel))
            .collect(),
        PixelFormat::Rgb888 => row.concat(),
        PixelFormat::Rgb565(order) => row
            .iter()
            .flat_map(|&pixel| match order {
                ByteOrder::Little => rgb565(pixel).to_le_bytes(),
                ByteOrder::Big => rgb565(pixel).to_be_bytes(),
            })
            .collect(),
        PixelFormat::Yuyv(range) => yuv_pairs(row, range)
            .flat_map(|[y0, y1, cb, cr]| [y0, cb, y1, cr])
            .collect(),
        PixelFormat::Uyvy(range) => yuv_pairs(row, range)
            .flat_map(|[y0, y1, cb, cr]| [cb, y0, cr, y1])
            .collect(),
    }
}

/// Both lumas, blue and red chroma of each two pixels.
fn yuv_pairs(row: &[[u8; 3]], range: YuvRange) -> impl Iterator<Item = [u8; 4]> {
    row.chunks_exact(2).map(move |pair| {
        let pair = [pair[0], pair[1]];
        let [y0, y1] = pair.map(|pixel| luma_code(range, pixel));
        let [cb, cr] = chroma_codes(range, pair);
        [y0, y1, cb, cr]
    })
}

/// The nearest five, six and five bits.
fn rgb565([r, g, b]: [u8; 3]) -> u16 {
    let bits = |value: u8, largest: u16| (u16::from(value) * largest + 127) / 255;
    bits(r, 31) << 11 | bits(g, 63) << 5 | bits(b, 31)
}

/// Luma of BT.601.
fn luma_code(range: YuvRange, pixel: [u8; 3]) -> u8 {
    let y = luma(pixel.map(f64::from));
    match range {
        YuvRange::Full => y.round() as u8,
        YuvRange::Limited => (16.0 + y * 219.0 / 255.0).round() as u8,
    }
}

/// Blue and red chroma of two pixels' mean.
fn chroma_codes(range: YuvRange, [a, b]: [[u8; 3]; 2]) -> [u8; 2] {
    let mean: [f64; 3] = std::array::from_fn(|c| (f64::from(a[c]) + f64::from(b[c])) / 2.0);
    let y = luma(mean);
    let scale = match range {
        YuvRange::Full => 1.0,
        YuvRange::Limited => 224.0 / 255.0,
    };
    // Pure blue and red come to more than 255 in full range, and the cast makes that 255.
    let code = |difference: f64| (128.0 + scale * difference).round() as u8;
    [code((mean[2] - y) / 1.772), code((mean[0] - y) / 1.402)]
}

fn luma([r, g, b]: [f64; 3]) -> f64 {
    0.299 * r + 0.587 * g + 0.114 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_colours_have_the_codes_of_the_standard() {
        let codes = |range: YuvRange, pixel| {
            let [cb, cr] = chroma_codes(range, [pixel; 2]);
            [luma_code(range, pixel), cb, cr]
        };
        // BT.601, limited range: white, black, red, green, blue.
        let limited = |pixel| codes(YuvRange::Limited, pixel);
        assert_eq!(limited([255; 3]), [235, 128, 128]);
        assert_eq!(limited([0; 3]), [16, 128, 128]);
        assert_eq!(limited([255, 0, 0]), [81, 90, 240]);
        assert_eq!(limited([0, 255, 0]), [145, 54, 34]);
        assert_eq!(limited([0, 0, 255]), [41, 240, 110]);
        assert_eq!(codes(YuvRange::Full, [255, 0, 0]), [76, 85, 255]);
    }

    #[test]
    fn bytes_stand_in_the_order_of_their_format() {
        let row = [[255, 0, 0], [255, 0, 0]];
        assert_eq!(
            bytes(&row, PixelFormat::Yuyv(YuvRange::Limited)),
            [81, 90, 81, 240]
        );
        assert_eq!(
            bytes(&row, PixelFormat::Uyvy(YuvRange::Limited)),
            [90, 81, 240, 81]
        );
        assert_eq!(
            bytes(&row, PixelFormat::Rgb565(ByteOrder::Big)),
            [0xF8, 0, 0xF8, 0]
        );
        assert_eq!(
            bytes(&row, PixelFormat::Rgb565(ByteOrder::Little)),
            [0, 0xF8, 0, 0xF8]
        );
        assert_eq!(bytes(&row, PixelFormat::Grey), [76, 76]);
        assert_eq!(bytes(&row, PixelFormat::Rgb888), [255, 0, 0, 255, 0, 0]);
    }
}
