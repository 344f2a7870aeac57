//! From a camera's rows to a network's: cut out, resized and converted as they come, in whole numbers.
//!
//! A camera sends rows of its own size and format. [`Camera`] takes them one after another and gives rows of pixels as the
//! network wants them, from a memory of a few rows. Host and board run this code, so both see the same pixels.
//!
//! # Resizing
//! Rows and columns are resized each for themselves. Where there are to be fewer, an output is the mean over the area that it
//! covers, pixels at its edges counting by the part that is covered; where there are to be more, it lies on the line between
//! the two nearest pixels, middles on middles, and pixels repeat behind the edges. Both directions together are
//! rounded once, halves up. `FORMAT.md` has the formulas.
//!
//! # Example
//! ```
//! use ocelli::camera::{Camera, CameraParams, Crop, PixelFormat};
//! use ocelli::kernels::Shape;
//!
//! const PARAMS: CameraParams = CameraParams {
//!     format: PixelFormat::Grey,
//!     h: 2,
//!     w: 6,
//!     crop: Crop::central([2, 6], [1, 1]),
//!     output: Shape::new(1, 1, 3),
//! };
//! let mut buffer = [0; PARAMS.buffer_words()];
//! let mut camera = Camera::new(PARAMS, &mut buffer)?;
//! camera.push_row(&[0, 0, 10, 20, 0, 0])?;
//! assert_eq!(camera.next_row(), None);
//! camera.push_row(&[0, 0, 20, 30, 0, 0])?;
//! assert_eq!(camera.next_row(), Some(&[20, 20, 20][..]));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod axis;
mod format;

use core::fmt;

use ocelli_image::Image;
use ocelli_kernels::Shape;
use zerocopy::IntoBytes;

use crate::error::InputError;
use axis::{Area, Axis, Between};
pub use format::{ByteOrder, PixelFormat, YuvRange};

/// The most rows or columns of a camera or a network.
const MAX_SIDE: usize = u16::MAX as usize;

/// The most that the weights of one output may add up to: 255 times this, rounded, fits into 32 bits.
const MAX_UNIT: u64 = 1 << 24;

/// The part of a camera's frame that the network sees, in the frame's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Crop {
    /// Rows above it.
    pub top: usize,
    /// Columns on its left.
    pub left: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Crop {
    /// The largest rectangle in the middle of a frame with the sides' ratio of `shape`; sides are height and width.
    ///
    /// `[1, 1]` gives a square. Sides are rounded down, but to one at least; an odd rest is larger behind.
    pub const fn central(frame: [usize; 2], shape: [usize; 2]) -> Self {
        let ([frame_h, frame_w], [h, w]) = (frame, shape);
        // As wide as the frame, or as high as it is.
        let high = scaled(frame_w, h, w);
        if high <= frame_h {
            Self::middle(frame, [high, frame_w])
        } else {
            Self::middle(frame, [frame_h, scaled(frame_h, w, h)])
        }
    }

    /// What the model's preprocessing takes from a photo of the frame's size: sides are height and width.
    ///
    /// Photos are resized until the shorter side has as many pixels as the record says, and a rectangle as large as the
    /// input is cut from the middle. The sides of the same rectangle before resizing are rounded down. Without a record,
    /// [`Crop::central`] with the ratio of the input.
    pub fn of_image(image: &Image<'_>, frame: [usize; 2]) -> Self {
        let input = image.input();
        let Some(record) = image.preprocess() else {
            return Self::central(frame, [input.h, input.w]);
        };
        let [frame_h, frame_w] = frame;
        let shorter = frame_h.min(frame_w);
        let side = |side| scaled(shorter, side, record.resize_shorter.get().into());
        Self::middle(frame, [side(input.h), side(input.w)])
    }

    /// A rectangle in the middle of a frame, not larger than it.
    const fn middle([frame_h, frame_w]: [usize; 2], [h, w]: [usize; 2]) -> Self {
        let h = if h < frame_h { h } else { frame_h };
        let w = if w < frame_w { w } else { frame_w };
        Crop {
            top: (frame_h - h) / 2,
            left: (frame_w - w) / 2,
            h,
            w,
        }
    }
}

/// `side * part / whole`, rounded down, but one at least.
const fn scaled(side: usize, part: usize, whole: usize) -> usize {
    // Two sides multiplied fit into 32 bits. (A division of 64 bits would link a routine that can panic.)
    let product = bounded(side) * bounded(part);
    match product.checked_div(bounded(whole)) {
        Some(0) | None => 1,
        Some(scaled) => scaled as usize,
    }
}

const fn bounded(side: usize) -> u32 {
    if side < MAX_SIDE {
        side as u32
    } else {
        MAX_SIDE as u32
    }
}

/// What a camera sends, and what the network wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraParams {
    /// The bytes of its rows.
    pub format: PixelFormat,
    /// Rows of a frame.
    pub h: usize,
    /// Pixels in a row.
    pub w: usize,
    /// The part of the frame that is used.
    pub crop: Crop,
    /// The network's input: three channels for red, green and blue, or one for luma.
    pub output: Shape,
}

impl CameraParams {
    /// For a camera with frames of `frame` pixels, height and width, and a model, cut out as [`Crop::of_image`] says.
    pub fn for_image(image: &Image<'_>, format: PixelFormat, frame: [usize; 2]) -> Self {
        let (input, [h, w]) = (image.input(), frame);
        CameraParams {
            format,
            h,
            w,
            crop: Crop::of_image(image, frame),
            output: Shape::new(input.h, input.w, input.c),
        }
    }

    /// Words of 32 bits that a [`Camera`] needs.
    pub const fn buffer_words(&self) -> usize {
        let row = self.output.row_elems();
        row.div_ceil(4)
            .saturating_add(row.saturating_mul(self.sum_rows()))
    }

    /// Rows of sums: the one that is being made, or the two that outputs lie between.
    const fn sum_rows(&self) -> usize {
        if self.crop.h >= self.output.h { 1 } else { 2 }
    }

    fn check(&self) -> Result<(), CameraError> {
        let CameraParams {
            format,
            h,
            w,
            crop,
            output,
        } = *self;
        let sides = [h, w, crop.h, crop.w, output.h, output.w];
        if sides.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return Err(CameraError::Side);
        }
        if format.is_paired() && w % 2 == 1 {
            return Err(CameraError::OddWidth);
        }
        let inside = |from: usize, side: usize, frame: usize| {
            from.checked_add(side).is_some_and(|end| end <= frame)
        };
        if !inside(crop.top, crop.h, h) || !inside(crop.left, crop.w, w) {
            return Err(CameraError::Crop);
        }
        if output.c != 1 && output.c != 3 {
            return Err(CameraError::Channels { got: output.c });
        }
        let [rows, columns] = self.axes();
        if u64::from(rows.unit()) * u64::from(columns.unit()) > MAX_UNIT {
            return Err(CameraError::Scale);
        }
        Ok(())
    }

    fn axes(&self) -> [Axis; 2] {
        let axis = |from: usize, to: usize| Axis {
            from: from as u32,
            to: to as u32,
        };
        [
            axis(self.crop.h, self.output.h),
            axis(self.crop.w, self.output.w),
        ]
    }
}

/// Why a camera's rows cannot be made into a network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CameraError {
    /// A side of the frame, the cut or the output is zero or above 65,535.
    Side,
    /// Pixels share their chroma in pairs, and a row has an odd number.
    OddWidth,
    /// The cut reaches out of the frame.
    Crop,
    /// The output has neither one channel nor three.
    Channels {
        /// Its channels.
        got: usize,
    },
    /// The cut is too large for sums of 32 bits.
    ///
    /// In each direction count the cut's pixels if it is resized to fewer, and twice the output's otherwise: the product of
    /// both is above 2^24.
    Scale,
    /// The buffer is too small.
    Buffer {
        /// Words needed.
        needed: usize,
        /// Words given.
        got: usize,
    },
}

impl fmt::Display for CameraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            CameraError::Side => {
                f.write_str("a side of the frame, the cut or the output is not in 1..=65535")
            }
            CameraError::OddWidth => {
                f.write_str("rows of pixel pairs have an even number of pixels")
            }
            CameraError::Crop => f.write_str("the cut reaches out of the frame"),
            CameraError::Channels { got } => {
                write!(
                    f,
                    "the output has {got} channels: one or three are supported"
                )
            }
            CameraError::Scale => {
                f.write_str("the cut is too large: 4,096 x 4,096 pixels are supported")
            }
            CameraError::Buffer { needed, got } => {
                write!(f, "buffer: {needed} words needed, {got} given")
            }
        }
    }
}

impl core::error::Error for CameraError {}

/// Makes a network's rows out of a camera's.
///
/// Push a row, then take the rows that it completes: none or one where the picture shrinks, none or some where it grows.
///
/// # Example
/// A frame of 640 x 480 YUV pixels, row by row through a network:
/// ```no_run
/// use ocelli::camera::{Camera, CameraParams, PixelFormat, YuvRange};
/// use ocelli::{Image, KernelTable, Session};
///
/// # fn example(model: &[u8], arena: &mut [u8], buffer: &mut [u32], frame: &[u8]) -> Result<(), Box<dyn core::error::Error>> {
/// let image = Image::parse(model)?;
/// let kernels = KernelTable::all();
/// let mut session = Session::new(&image, arena, &kernels)?;
/// let format = PixelFormat::Yuyv(YuvRange::Full);
/// let params = CameraParams::for_image(&image, format, [480, 640]);
/// let mut camera = Camera::new(params, buffer)?; // params.buffer_words() words
/// for row in frame.chunks(format.row_bytes(640)) {
///     camera.push_row(row)?;
///     while let Some(pixels) = camera.next_row() {
///         session.push_row(pixels, &mut ())?;
///     }
/// }
/// let (class, score) = session.top().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Camera<'m> {
    params: CameraParams,
    columns: Axis,
    /// The sum of the weights of one output value.
    unit: u32,
    down: Down,
    /// Rows of sums, each as long as an output row.
    sums: &'m mut [u32],
    /// An output row.
    pixels: &'m mut [u8],
    rows_pushed: usize,
    rows_taken: usize,
}

/// How rows become rows.
#[derive(Clone, Copy, Debug)]
enum Down {
    /// Fewer: the sum of the current one, and whether a finished one waits in `pixels`.
    Average { area: Area, ready: bool },
    /// More: two rows that outputs lie between, and which of them is the upper one.
    Interpolate {
        between: Between,
        upper: usize,
        /// The lower row stands for both: nothing is below it.
        at_end: bool,
    },
}

impl Down {
    const fn new(axis: Axis) -> Self {
        if axis.shrinks() {
            Down::Average {
                area: Area::new(axis),
                ready: false,
            }
        } else {
            Down::Interpolate {
                between: Between::new(axis),
                upper: 0,
                at_end: false,
            }
        }
    }
}

impl<'m> Camera<'m> {
    /// Checks sizes and takes a buffer of [`CameraParams::buffer_words`] words or more.
    ///
    /// # Errors
    /// [`CameraError`].
    pub fn new(params: CameraParams, buffer: &'m mut [u32]) -> Result<Self, CameraError> {
        params.check()?;
        let (needed, got) = (params.buffer_words(), buffer.len());
        let error = CameraError::Buffer { needed, got };
        let row = params.output.row_elems();
        let (pixels, rest) = buffer.split_at_mut_checked(row.div_ceil(4)).ok_or(error)?;
        let pixels = pixels.as_mut_bytes().get_mut(..row).ok_or(error)?;
        let sums = rest.get_mut(..row * params.sum_rows()).ok_or(error)?;
        let [rows, columns] = params.axes();
        let mut camera = Camera {
            params,
            columns,
            unit: rows.unit() * columns.unit(),
            down: Down::new(rows),
            sums,
            pixels,
            rows_pushed: 0,
            rows_taken: 0,
        };
        camera.reset();
        Ok(camera)
    }

    /// What it was made from.
    pub fn params(&self) -> &CameraParams {
        &self.params
    }

    /// Forgets what has come: the next row is the first of a new frame.
    pub fn reset(&mut self) {
        let [rows, _] = self.params.axes();
        self.down = Down::new(rows);
        self.sums.fill(0);
        self.rows_pushed = 0;
        self.rows_taken = 0;
    }

    /// Takes the next row of the frame, all of it, from top to bottom.
    ///
    /// # Errors
    /// [`InputError::Length`] in bytes; [`InputError::NotNeeded`] behind the frame's last row, and while a row waits
    /// to be taken. Nothing has changed then.
    pub fn push_row(&mut self, row: &[u8]) -> Result<(), InputError> {
        let CameraParams {
            format,
            h,
            w,
            crop,
            output,
        } = self.params;
        let (needed, got) = (format.row_bytes(w), row.len());
        if needed != got {
            return Err(InputError::Length { needed, got });
        }
        if self.rows_pushed >= h || self.is_ready() {
            return Err(InputError::NotNeeded);
        }
        let at = self.rows_pushed;
        self.rows_pushed += 1;
        if at < crop.top || at >= crop.top + crop.h {
            return Ok(());
        }
        let columns = crop.left..crop.left + crop.w;
        // One value or three of each pixel count.
        let pixels = columns.map(|x| {
            if output.c == 1 {
                [format.luma(row, x), 0, 0]
            } else {
                format.rgb(row, x)
            }
        });
        self.add(pixels, at == crop.top);
        Ok(())
    }

    /// The next row for the network, `[w, c]` values, if the rows pushed are enough for it.
    pub fn next_row(&mut self) -> Option<&[u8]> {
        if !self.is_ready() {
            return None;
        }
        self.rows_taken += 1;
        match &mut self.down {
            Down::Average { ready, .. } => *ready = false,
            Down::Interpolate {
                between,
                upper,
                at_end,
            } => {
                if between.is_past() {
                    between.move_on();
                    *at_end = true;
                }
                let (first, second) = self
                    .sums
                    .split_at_checked(self.pixels.len())
                    .unwrap_or_default();
                let (above, below) = match (*upper == 0, *at_end) {
                    (true, false) => (first, second),
                    (false, false) => (second, first),
                    (true, true) => (second, second),
                    (false, true) => (first, first),
                };
                let [a, b] = between.weights();
                for ((value, &above), &below) in self.pixels.iter_mut().zip(above).zip(below) {
                    *value = rounded(a * above + b * below, self.unit);
                }
                between.step();
            }
        }
        Some(self.pixels)
    }

    /// Whether a row waits to be taken.
    fn is_ready(&self) -> bool {
        let crop = self.params.crop;
        match self.down {
            Down::Average { ready, .. } => ready,
            Down::Interpolate { between, .. } => {
                let has_last = self.rows_pushed >= crop.top + crop.h;
                self.rows_pushed > crop.top
                    && self.rows_taken < self.params.output.h
                    && (has_last || !between.is_past())
            }
        }
    }

    /// Takes the pixels of a row of the cut.
    #[inline]
    fn add(&mut self, pixels: impl Iterator<Item = [u8; 3]>, is_first: bool) {
        let c = self.params.output.c.max(1);
        match &mut self.down {
            Down::Average { area, ready } => {
                let share = area.take();
                let unit = self.unit;
                // Not zipped: that would divide by the length of chunks, and a division can panic.
                let mut sums = self.sums.chunks_exact_mut(c);
                let mut places = self.pixels.chunks_exact_mut(c);
                self.columns.resize(pixels, |values| {
                    let (Some(sums), Some(pixel)) = (sums.next(), places.next()) else {
                        return;
                    };
                    for ((sum, pixel), value) in sums.iter_mut().zip(pixel).zip(values) {
                        *sum += share.inside * value;
                        if share.ends {
                            *pixel = rounded(*sum, unit);
                            *sum = share.behind * value;
                        }
                    }
                });
                *ready = share.ends;
            }
            Down::Interpolate { between, upper, .. } => {
                let (first, second) = self
                    .sums
                    .split_at_mut_checked(self.pixels.len())
                    .unwrap_or_default();
                if !is_first {
                    between.move_on();
                    *upper = 1 - *upper;
                }
                let (above, below) = if *upper == 0 {
                    (first, second)
                } else {
                    (second, first)
                };
                let mut places = below.chunks_exact_mut(c);
                self.columns.resize(pixels, |values| {
                    if let Some(sums) = places.next() {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum = value;
                        }
                    }
                });
                if is_first {
                    // The row before the first equals it.
                    for (above, &below) in above.iter_mut().zip(below.iter()) {
                        *above = below;
                    }
                }
            }
        }
    }
}

/// The nearest whole value, halves up.
#[inline]
fn rounded(sum: u32, unit: u32) -> u8 {
    (sum + unit / 2).checked_div(unit).unwrap_or(0) as u8
}
