//! What the bytes of a camera's row mean.

/// Which byte of a 16-bit pixel comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ByteOrder {
    /// The byte with the low bits of green and blue.
    Little,
    /// The byte with red and the high bits of green, as most sensors send it.
    Big,
}

/// Which values of luma and chroma are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum YuvRange {
    /// All, 0 to 255, as in JPEG.
    Full,
    /// Luma from 16 to 235, chroma from 16 to 240, as in television.
    Limited,
}

/// What a camera sends.
///
/// # Source
/// YUV: ITU-R BT.601, in factors of 16 bits behind the point; `FORMAT.md` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PixelFormat {
    /// One byte a pixel: luma.
    Grey,
    /// 16 bits a pixel: five of red, six of green, five of blue, red in the highest.
    Rgb565(ByteOrder),
    /// Four bytes for two pixels: luma, blue chroma, luma, red chroma.
    Yuyv(YuvRange),
    /// Four bytes for two pixels: blue chroma, luma, red chroma, luma.
    Uyvy(YuvRange),
    /// Three bytes a pixel: red, green, blue.
    Rgb888,
}

impl PixelFormat {
    /// Bytes of a row of `w` pixels.
    pub const fn row_bytes(self, w: usize) -> usize {
        match self {
            PixelFormat::Grey => w,
            PixelFormat::Rgb565(_) | PixelFormat::Yuyv(_) | PixelFormat::Uyvy(_) => {
                w.saturating_mul(2)
            }
            PixelFormat::Rgb888 => w.saturating_mul(3),
        }
    }

    /// Whether two pixels share their chroma: rows then have an even number of pixels.
    pub const fn is_paired(self) -> bool {
        matches!(self, PixelFormat::Yuyv(_) | PixelFormat::Uyvy(_))
    }

    /// Red, green and blue of pixel `x`; zeros behind the row's end.
    #[inline]
    pub(super) fn rgb(self, row: &[u8], x: usize) -> [u8; 3] {
        match self {
            PixelFormat::Grey => [row.get(x).copied().unwrap_or(0); 3],
            PixelFormat::Rgb565(order) => {
                let bytes = chunk(row, x);
                let bits = match order {
                    ByteOrder::Little => u16::from_le_bytes(bytes),
                    ByteOrder::Big => u16::from_be_bytes(bytes),
                };
                rgb565(bits)
            }
            PixelFormat::Yuyv(range) => {
                let [y0, cb, y1, cr] = chunk(row, x / 2);
                range.rgb([if x.is_multiple_of(2) { y0 } else { y1 }, cb, cr])
            }
            PixelFormat::Uyvy(range) => {
                let [cb, y0, cr, y1] = chunk(row, x / 2);
                range.rgb([if x.is_multiple_of(2) { y0 } else { y1 }, cb, cr])
            }
            PixelFormat::Rgb888 => chunk(row, x),
        }
    }

    /// Luma of pixel `x`, from 0 to 255; zero behind the row's end.
    #[inline]
    pub(super) fn luma(self, row: &[u8], x: usize) -> u8 {
        match self {
            PixelFormat::Grey => row.get(x).copied().unwrap_or(0),
            PixelFormat::Rgb565(_) | PixelFormat::Rgb888 => {
                let [r, g, b] = self.rgb(row, x).map(i32::from);
                rounded(19595 * r + 38470 * g + 7471 * b)
            }
            PixelFormat::Yuyv(range) | PixelFormat::Uyvy(range) => {
                let at = if matches!(self, PixelFormat::Yuyv(_)) {
                    0
                } else {
                    1
                };
                let pair: [u8; 2] = chunk(row, x);
                let y = i32::from(pair.get(at).copied().unwrap_or(0));
                rounded(range.luma(y))
            }
        }
    }
}

impl YuvRange {
    /// Luma in 65,536ths of full range.
    #[inline]
    const fn luma(self, y: i32) -> i32 {
        match self {
            YuvRange::Full => y << 16,
            YuvRange::Limited => 76309 * (y - 16),
        }
    }

    /// Red, green and blue of luma, blue chroma and red chroma.
    #[inline]
    fn rgb(self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let y = self.luma(i32::from(y));
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        let [red, green_blue, green_red, blue] = match self {
            YuvRange::Full => [91881, 22553, 46802, 116130],
            YuvRange::Limited => [104597, 25675, 53279, 132201],
        };
        [
            rounded(y + red * cr),
            rounded(y - green_blue * cb - green_red * cr),
            rounded(y + blue * cb),
        ]
    }
}

/// 65,536ths to the nearest byte, halves up.
#[inline]
fn rounded(value: i32) -> u8 {
    ((value + (1 << 15)) >> 16).clamp(0, 255) as u8
}

/// Five and six bits stretched to eight, so that the largest value is 255.
#[inline]
const fn rgb565(bits: u16) -> [u8; 3] {
    let (r, g, b) = (bits >> 11, (bits >> 5) & 0x3F, bits & 0x1F);
    [
        (r << 3 | r >> 2) as u8,
        (g << 2 | g >> 4) as u8,
        (b << 3 | b >> 2) as u8,
    ]
}

/// The chunk with number `at` of `N` bytes.
#[inline]
fn chunk<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    let bytes = row.get(at.saturating_mul(N)..);
    bytes
        .and_then(|bytes| bytes.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_565_pixel_are_stretched_to_bytes() {
        // 10110 110011 00001: 22 -> 181 (10110101), 51 -> 207 (11001111), 1 -> 8 (00001000).
        let big = PixelFormat::Rgb565(ByteOrder::Big);
        let little = PixelFormat::Rgb565(ByteOrder::Little);
        assert_eq!(big.rgb(&[0, 0, 0b1011_0110, 0b0110_0001], 1), [181, 207, 8]);
        assert_eq!(little.rgb(&[0b0110_0001, 0b1011_0110], 0), [181, 207, 8]);
        assert_eq!(big.rgb(&[0xFF; 2], 0), [255; 3]);
    }

    #[test]
    fn two_pixels_share_their_chroma() {
        let yuyv = PixelFormat::Yuyv(YuvRange::Full);
        let uyvy = PixelFormat::Uyvy(YuvRange::Full);
        // 100 + 1.402 * 10 = 114.02; 100 - 0.344 * -20 - 0.714 * 10 = 99.7; 100 + 1.772 * -20 = 64.6.
        assert_eq!(yuyv.rgb(&[100, 108, 50, 138], 0), [114, 100, 65]);
        assert_eq!(uyvy.rgb(&[108, 50, 138, 100], 1), [114, 100, 65]);
        assert_eq!(yuyv.rgb(&[50, 108, 100, 138], 1), [114, 100, 65]);
        assert_eq!(yuyv.luma(&[50, 108, 100, 138], 1), 100);
        assert_eq!(uyvy.luma(&[108, 50, 138, 100], 0), 50);
    }

    #[test]
    fn limited_range_is_stretched_and_what_lies_outside_is_cut_off() {
        let yuyv = PixelFormat::Yuyv(YuvRange::Limited);
        let grey = |y| yuyv.rgb(&[y, 128, y, 128], 0);
        assert_eq!(
            [0, 16, 126, 235, 255].map(grey),
            [[0; 3], [0; 3], [128; 3], [255; 3], [255; 3]]
        );
        assert_eq!([16, 126, 235].map(|y| yuyv.luma(&[y, 0], 0)), [0, 128, 255]);
    }

    /// The matrix of BT.601 as fractions, from the weights of red and blue in luma.
    fn exact(y: i64, cb: i64, cr: i64, range: YuvRange) -> [(i64, i64); 3] {
        // Luma and chroma in units of 1/219 and 1/224 of full range, or 1/255 of it.
        let (y, c) = match range {
            YuvRange::Full => ((y, 255), 255),
            YuvRange::Limited => ((y - 16, 219), 224),
        };
        let (cb, cr) = (cb - 128, cr - 128);
        // 255 * (y / luma range + factor * chroma / chroma range), all times 587,000 * both ranges.
        let value = |blue: i64, red: i64| {
            let sum = 587_000 * y.0 * c + (blue * cb + red * cr) * y.1;
            (255 * sum, 587_000 * y.1 * c)
        };
        [
            value(0, 587 * 1402),
            value(-202_008, -419_198),
            value(587 * 1772, 0),
        ]
    }

    #[test]
    fn every_seventh_colour_is_within_a_hundredth_of_the_exact_matrix() {
        for range in [YuvRange::Full, YuvRange::Limited] {
            for y in (0..=255u8).step_by(7).chain([255]) {
                for cb in (0..=255u8).step_by(7).chain([128, 255]) {
                    for cr in (0..=255u8).step_by(7).chain([128, 255]) {
                        let got = range.rgb([y, cb, cr]);
                        let wanted = exact(y.into(), cb.into(), cr.into(), range);
                        for (got, (value, unit)) in got.into_iter().zip(wanted) {
                            let value = value.clamp(0, 255 * unit);
                            let off = (i64::from(got) * unit - value).abs();
                            assert!(100 * off <= 51 * unit, "{y} {cb} {cr} {range:?}: {got}");
                        }
                    }
                }
            }
        }
    }
}
