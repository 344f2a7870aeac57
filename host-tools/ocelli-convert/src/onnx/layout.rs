//! How the dimensions that ONNX speaks of lie in a tensor of the graph, which is rows, columns and channels.
//!
//! Each dimension is a list of atoms, a size and a step in memory each, outermost first: a mixed-radix index. A map
//! `[1, c, h, w]` of ONNX is `[], [c by 1], [h by w*c], [w by c]`. Transposing permutes the lists, and reshaping cuts
//! the whole sequence of atoms at other places, so that neither needs an op; what matters to an op is only whether its
//! channels are still the graph's channels.

use crate::graph::Shape;

/// A run of so many indices, each so far from the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Atom {
    size: usize,
    stride: usize,
}

/// Where each element of an ONNX tensor lies in the graph's tensor. Equal layouts put each in the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dims: Vec<Vec<Atom>>,
}

/// What of a tensor some dimensions cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing: all of them are 1.
    Nothing,
    /// All rows and columns.
    Pixels,
    /// The rows.
    Rows,
    /// The columns.
    Columns,
    /// The channels.
    Channels,
    /// Anything else.
    Other,
}

/// Rows, columns or channels of the graph's input, for one of ONNX's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    H,
    W,
    C,
}

/// Adds an atom behind others, as one with the last where they adjoin.
fn append(atoms: &mut Vec<Atom>, atom: Atom) {
    if atom.size == 1 {
        return;
    }
    match atoms.last_mut() {
        Some(last) if last.stride == atom.size * atom.stride => {
            last.size *= atom.size;
            last.stride = atom.stride;
        }
        _ => atoms.push(atom),
    }
}

/// One run, or none of a single index.
fn run(size: usize, stride: usize) -> Vec<Atom> {
    let mut atoms = vec![];
    append(&mut atoms, Atom { size, stride });
    atoms
}

impl Layout {
    /// `[1, c, h, w]`.
    pub(super) fn nchw(shape: Shape) -> Self {
        let Shape { h, w, c } = shape;
        Layout {
            dims: vec![vec![], run(c, 1), run(h, w * c), run(w, c)],
        }
    }

    /// Channels in the last of `rank` dimensions; all others are 1.
    pub(super) fn vector(rank: usize, channels: usize) -> Self {
        let mut dims = vec![vec![]; rank];
        if let Some(last) = dims.last_mut() {
            *last = run(channels, 1);
        }
        Layout { dims }
    }

    /// A tensor of these dimensions whose first ones of each side are the outermost there, and its shape.
    ///
    /// None if a side is too long.
    pub(super) fn of_sides(dims: &[usize], sides: &[Side]) -> Option<(Shape, Self)> {
        let product = |wanted| {
            let of_side = dims.iter().zip(sides).filter(|&(_, &side)| side == wanted);
            let product = of_side.fold(1usize, |product, (&dim, _)| product.saturating_mul(dim));
            (product <= Shape::MAX_SIDE).then_some(product)
        };
        let shape = Shape::new(product(Side::H)?, product(Side::W)?, product(Side::C)?);
        let (mut h, mut w, mut c) = (shape.elems(), shape.w * shape.c, shape.c);
        let dims = dims.iter().zip(sides).map(|(&dim, side)| {
            let stride = match side {
                Side::H => &mut h,
                Side::W => &mut w,
                Side::C => &mut c,
            };
            *stride /= dim;
            run(dim, *stride)
        });
        let dims = dims.collect();
        Some((shape, Layout { dims }))
    }

    /// Numbers in ONNX's order, as the graph's tensor has them.
    ///
    /// Numbers that are too few or too many are none of this layout's: what is missing is 0.
    pub fn to_graph(&self, numbers: &[f32]) -> Vec<f32> {
        let places = self.places();
        let mut arranged = vec![0.0; places.len()];
        for (&place, &number) in places.iter().zip(numbers) {
            if let Some(to) = arranged.get_mut(place) {
                *to = number;
            }
        }
        arranged
    }

    /// Numbers of the graph's tensor in ONNX's order.
    pub fn from_graph(&self, numbers: &[f32]) -> Vec<f32> {
        let places = self.places().into_iter();
        places
            .map(|place| numbers.get(place).copied().unwrap_or(0.0))
            .collect()
    }

    fn places(&self) -> Vec<usize> {
        let all = Layout {
            dims: vec![self.dims.concat()],
        };
        all.offsets(0)
    }

    /// The number of dimensions.
    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The dimensions, as ONNX has them.
    pub fn sizes(&self) -> Vec<usize> {
        self.dims.iter().map(|dim| size(dim)).collect()
    }

    /// The dimensions in another order.
    pub(super) fn transpose(&self, order: &[usize]) -> Option<Self> {
        let dims = order.iter().map(|&at| self.dims.get(at).cloned());
        let dims = dims.collect::<Option<_>>()?;
        Some(Layout { dims })
    }

    /// The same sequence of elements cut into other dimensions; none if that would cut through an atom.
    pub(super) fn reshape(&self, sizes: &[usize]) -> Option<Self> {
        let mut sequence = vec![];
        self.dims
            .iter()
            .flatten()
            .for_each(|&atom| append(&mut sequence, atom));
        let mut atoms = sequence.into_iter();
        let mut left: Option<Atom> = None;
        let mut dims = Vec::with_capacity(sizes.len());
        for &size in sizes {
            let mut needed = size;
            let mut dim = vec![];
            while needed > 1 {
                let atom = left.take().or_else(|| atoms.next())?;
                let outer = atom.size.min(needed);
                if !needed.is_multiple_of(outer) || !atom.size.is_multiple_of(outer) {
                    return None;
                }
                let inner = atom.size / outer;
                let stride = atom.stride * inner;
                append(
                    &mut dim,
                    Atom {
                        size: outer,
                        stride,
                    },
                );
                left = (inner > 1).then_some(Atom {
                    size: inner,
                    stride: atom.stride,
                });
                needed /= outer;
            }
            if needed == 0 {
                return None;
            }
            dims.push(dim);
        }
        (left.is_none() && atoms.next().is_none()).then_some(Layout { dims })
    }

    /// The same with dimensions of 1 in front, up to a rank.
    pub(super) fn with_rank(&self, rank: usize) -> Self {
        let more = rank.saturating_sub(self.rank());
        let mut dims = vec![vec![]; more];
        dims.extend(self.dims.iter().cloned());
        Layout { dims }
    }

    /// The same with some dimensions reduced to 1, or left out.
    pub(super) fn reduced(&self, axes: &[usize], keep: bool) -> Self {
        let mut dims = vec![];
        for (at, dim) in self.dims.iter().enumerate() {
            if !axes.contains(&at) {
                dims.push(dim.clone());
            } else if keep {
                dims.push(vec![]);
            }
        }
        Layout { dims }
    }

    /// What the dimensions `axes` cover together.
    pub(super) fn part(&self, axes: &[usize], shape: Shape) -> Part {
        let mut atoms: Vec<Atom> = axes
            .iter()
            .filter_map(|&at| self.dims.get(at))
            .flatten()
            .copied()
            .collect();
        atoms.sort_by_key(|atom| std::cmp::Reverse(atom.stride));
        let mut merged = vec![];
        atoms.iter().for_each(|&atom| append(&mut merged, atom));
        let Shape { h, w, c } = shape;
        let parts = [
            (Part::Nothing, vec![]),
            (Part::Pixels, run(h * w, c)),
            (Part::Rows, run(h, w * c)),
            (Part::Columns, run(w, c)),
            (Part::Channels, run(c, 1)),
        ];
        let found = parts.into_iter().find(|(_, atoms)| *atoms == merged);
        found.map_or(Part::Other, |(part, _)| part)
    }

    /// Whether a dimension is exactly the channels.
    pub(super) fn is_channels(&self, axis: usize, shape: Shape) -> bool {
        self.dims.get(axis) == Some(&run(shape.c, 1))
    }

    /// Whether only this dimension is more than 1.
    pub(super) fn is_all(&self, axis: usize) -> bool {
        let mut others = self.dims.iter().enumerate().filter(|&(at, _)| at != axis);
        others.all(|(_, dim)| dim.is_empty())
    }

    /// Where the elements along a dimension lie.
    pub(super) fn offsets(&self, axis: usize) -> Vec<usize> {
        let mut offsets = vec![0];
        for atom in self.dims.get(axis).into_iter().flatten() {
            let longer = offsets
                .iter()
                .flat_map(|&from| (0..atom.size).map(move |index| from + index * atom.stride));
            offsets = longer.collect();
        }
        offsets
    }

    /// The layout after the channels became `to` instead of `from`, all in the dimension `axis`.
    ///
    /// None if any other dimension has a part of the channels.
    pub(super) fn with_channels(&self, axis: usize, from: usize, to: usize) -> Option<Self> {
        let mut dims = self.dims.clone();
        *dims.get_mut(axis)? = vec![];
        for atom in dims.iter_mut().flatten() {
            if !atom.stride.is_multiple_of(from) {
                return None;
            }
            atom.stride = atom.stride / from * to;
        }
        dims[axis] = run(to, 1);
        Some(Layout { dims })
    }

    /// The layout after all columns became one, in dimensions that are reduced already.
    pub(super) fn without_columns(&self, from: Shape) -> Option<Self> {
        let mut dims = self.dims.clone();
        let row = from.w * from.c;
        for atom in dims.iter_mut().flatten() {
            if atom.stride >= from.c {
                if !atom.stride.is_multiple_of(row) {
                    return None;
                }
                atom.stride = atom.stride / row * from.c;
            }
        }
        Some(Layout { dims })
    }

    /// The dimensions that are rows and columns of a map, channels first or last.
    pub(super) fn map_axes(&self, shape: Shape) -> Option<(usize, usize)> {
        let first = Layout::nchw(shape);
        let last = first.transpose(&[0, 2, 3, 1]);
        if *self == first {
            Some((2, 3))
        } else {
            (Some(self) == last.as_ref()).then_some((1, 2))
        }
    }

    /// The same dimensions for a map of the same channels and other rows and columns.
    pub(super) fn with_map(&self, rows: usize, columns: usize, shape: Shape) -> Self {
        let mut dims = self.dims.clone();
        let Shape { h, w, c } = shape;
        for (axis, dim) in [(rows, run(h, w * c)), (columns, run(w, c))] {
            if let Some(place) = dims.get_mut(axis) {
                *place = dim;
            }
        }
        Layout { dims }
    }

    /// For each channel the index into a constant of these dimensions that is stretched over this layout.
    ///
    /// None if the constant differs between pixels, or does not fit.
    pub(super) fn channel_indices(
        &self,
        constant: &[usize],
        channels: usize,
    ) -> Option<Vec<usize>> {
        let extra = self.rank().checked_sub(constant.len())?;
        let mut indices = vec![0; channels];
        let mut known = vec![(0usize, 0usize)];
        // From the last dimension on, whose step in the constant is 1.
        let mut step = 1;
        for (at, dim) in self.dims.iter().enumerate().rev() {
            let size_there = at.checked_sub(extra).map_or(1, |at| constant[at]);
            if size_there != 1 && size_there != size(dim) {
                return None;
            }
            let mut step_inside = step;
            for atom in dim.iter().rev() {
                // What of the atom lies within a pixel; the rest goes from pixel to pixel.
                let inner = atom.size.min(channels / atom.stride.min(channels));
                let inner = if atom.stride < channels { inner } else { 1 };
                if inner < atom.size && size_there != 1 {
                    return None;
                }
                let step = if size_there == 1 { 0 } else { step_inside };
                known = (0..inner)
                    .flat_map(|index| {
                        known.iter().map(move |&(channel, at)| {
                            (channel + index * atom.stride, at + index * step)
                        })
                    })
                    .collect();
                step_inside *= atom.size;
            }
            step *= size_there;
        }
        for (channel, at) in known {
            *indices.get_mut(channel)? = at;
        }
        Some(indices)
    }

    /// Whether a tensor of one pixel in layout `other` is stretched over the pixels of this one.
    pub(super) fn is_scaled_by(&self, other: &Self, channels: usize) -> bool {
        let pixel = run(channels, 1);
        self.rank() == other.rank()
            && self.dims.iter().zip(&other.dims).all(|(dim, of_pixel)| {
                if *dim == pixel {
                    *of_pixel == pixel
                } else {
                    of_pixel.is_empty()
                }
            })
            && (channels == 1 || self.dims.contains(&pixel))
    }
}

fn size(dim: &[Atom]) -> usize {
    dim.iter().map(|atom| atom.size).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(2, 3, 4);

    #[test]
    fn flattening_and_unflattening_a_map_is_nothing() {
        let map = Layout::nchw(SHAPE);
        assert_eq!(map.sizes(), [1, 4, 2, 3]);
        let flat = map.reshape(&[1, 24]).unwrap();
        // The second element of the flattened map is the next column, 4 further in memory.
        assert_eq!(flat.offsets(1)[..4], [0, 4, 8, 12]);
        assert_eq!(flat.offsets(1)[6], 1);
        assert_eq!(flat.reshape(&[1, 4, 2, 3]), Some(map.clone()));
        assert_eq!(map.reshape(&[1, 2, 2, 6]).unwrap().sizes(), [1, 2, 2, 6]);
        assert_eq!(map.reshape(&[1, 3, 8]), None);
        assert_eq!(map.reshape(&[1, 4, 2]), None);
        assert_eq!(map.reshape(&[0]), None);
    }

    #[test]
    fn transposed_channels_are_still_channels() {
        let map = Layout::nchw(SHAPE).transpose(&[0, 2, 3, 1]).unwrap();
        assert_eq!(map.sizes(), [1, 2, 3, 4]);
        assert!(map.is_channels(3, SHAPE) && !map.is_channels(1, SHAPE));
        assert_eq!(map.part(&[3], SHAPE), Part::Channels);
        assert_eq!(map.part(&[2, 1], SHAPE), Part::Pixels);
        assert_eq!(map.part(&[1], SHAPE), Part::Rows);
        assert_eq!(map.part(&[2], SHAPE), Part::Columns);
        assert_eq!(map.part(&[2, 3], SHAPE), Part::Other);
        assert_eq!(map.part(&[0], SHAPE), Part::Nothing);
    }

    #[test]
    fn sides_of_several_dimensions_lie_in_their_order() {
        use Side::{C, H};
        let (shape, layout) = Layout::of_sides(&[2, 3, 5], &[H, C, C]).unwrap();
        assert_eq!(shape, Shape::new(2, 1, 15));
        assert_eq!(layout.offsets(0), [0, 15]);
        assert_eq!(layout.offsets(1), [0, 5, 10]);
        assert_eq!(layout.part(&[1, 2], shape), Part::Channels);
    }

    #[test]
    fn constants_are_stretched_over_pixels_only() {
        let map = Layout::nchw(SHAPE);
        let of_channels = |dims: &[usize]| map.channel_indices(dims, 4);
        assert_eq!(of_channels(&[4, 1, 1]), Some(vec![0, 1, 2, 3]));
        assert_eq!(of_channels(&[1]), Some(vec![0; 4]));
        assert_eq!(of_channels(&[3]), None);
        assert_eq!(of_channels(&[2, 1]), None);
        assert_eq!(of_channels(&[1, 1, 4, 1, 1]), None);
        // Channels that ONNX sees as two dimensions.
        use Side::{C, H};
        let (_, split) = Layout::of_sides(&[2, 3, 5], &[H, C, C]).unwrap();
        let indices = split.channel_indices(&[3, 1], 15).unwrap();
        assert_eq!(indices[4..6], [0, 1]);
        let indices = split.channel_indices(&[3, 5], 15).unwrap();
        assert_eq!(indices, (0..15).collect::<Vec<_>>());
    }

    #[test]
    fn other_channels_move_the_pixels() {
        let map = Layout::nchw(SHAPE);
        let wide = Layout::nchw(Shape::new(2, 3, 7));
        assert_eq!(map.with_channels(1, 4, 7), Some(wide));
        assert_eq!(map.with_channels(2, 4, 7), None);
    }

    #[test]
    fn a_pixel_scales_a_map_of_the_same_channels() {
        let map = Layout::nchw(SHAPE);
        let pixel = Layout::nchw(Shape::new(1, 1, 4));
        assert!(map.is_scaled_by(&pixel, 4));
        let last = Layout::vector(4, 4);
        assert!(!map.is_scaled_by(&last, 4));
    }
}
