//! Operators on constants, run at once.

use std::rc::Rc;

use super::array::{Array, Data, WeightScales, cost, count, decode};
use super::elementwise::{constants, function};
use super::function::Function;
use super::import::{Importer, Inputs, Value, axis};
use super::model::{Node, elem};
use super::view::{View, shape_of, view};
use super::{Refusal, refuse};

impl<'m, 'f> Importer<'m, 'f> {
    /// What an operator makes of constants.
    pub fn fold(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Array, Refusal> {
        let node = inputs.node;
        match node.op {
            "Constant" => return self.constant(node),
            "ConstantOfShape" => return self.constant_of_shape(inputs),
            "Range" => return self.range(inputs),
            _ => {}
        }
        let Some(first) = inputs.constant(0)? else {
            return refuse("has no input; copy the file again");
        };
        let array = match node.op {
            "Shape" | "Size" => shape_of(node, &first.dims)?,
            "Cast" => cast(first, node.int("to")?.unwrap_or_default())?,
            "CastLike" => match inputs.get(1) {
                Some(Value::Constant(like)) => cast(first, like.elem)?,
                _ => cast(first, elem::FLOAT)?,
            },
            "Expand" => self.expand(inputs, first)?,
            "Identity" | "Dropout" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze"
            | "Transpose" => self.constant_view(inputs, first)?,
            "QuantizeLinear" => self.quantized(inputs, first)?,
            "DequantizeLinear" => self.dequantized(inputs, first)?,
            "Gather" => self.gather(inputs, first)?,
            "Slice" => self.slice(inputs, first)?,
            "Concat" => self.join(inputs)?,
            _ => return self.each(inputs),
        };
        Ok(array)
    }

    fn constant(&mut self, node: &'m Node<'f>) -> Result<Array, Refusal> {
        if let Some(tensor) = node.tensor("value")? {
            return decode(tensor, self.external);
        }
        if let Some(float) = node.float("value_float")? {
            return Ok(Array::floats(vec![], vec![float]));
        }
        if let Some(int) = node.int("value_int")? {
            return Ok(Array::ints(vec![], vec![int]));
        }
        if let Some(floats) = node.floats("value_floats")? {
            return Ok(Array::floats(vec![floats.len()], floats.to_vec()));
        }
        match node.ints("value_ints")? {
            Some(ints) => Ok(Array::list(ints.to_vec())),
            None => refuse("has no value that is supported; export it as a tensor of numbers"),
        }
    }

    /// Dimensions that a constant asks for, paid for.
    fn sizes(&mut self, array: &Array) -> Result<Vec<usize>, Refusal> {
        let sizes = array.as_ints().and_then(|sizes| {
            let sizes = sizes.iter().map(|&size| usize::try_from(size).ok());
            sizes.collect::<Option<Vec<usize>>>()
        });
        match sizes.and_then(|sizes| cost(&sizes).map(|cost| (sizes, cost))) {
            Some((sizes, cost)) => {
                self.budget.fold(cost)?;
                Ok(sizes)
            }
            None => refuse("asks for a constant of a shape that no small network has"),
        }
    }

    fn constant_of_shape(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Array, Refusal> {
        let sizes = self.sizes(inputs.weights(0)?)?;
        let elems = count(&sizes).unwrap_or(0);
        let value = match inputs.node.tensor("value")? {
            Some(tensor) => decode(tensor, self.external)?,
            None => Array::floats(vec![1], vec![0.0]),
        };
        match value.pick(sizes, &vec![0; elems]) {
            Some(array) => Ok(array),
            None => refuse("attribute `value` is no single number"),
        }
    }

    fn range(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Array, Refusal> {
        let mut ends = [0; 3];
        for (at, end) in ends.iter_mut().enumerate() {
            match inputs.weights(at)?.as_ints() {
                Some(&[number]) => *end = number,
                _ => return refuse("has ends that are no whole numbers; only those are supported"),
            }
        }
        let [start, limit, delta] = ends.map(i128::from);
        if delta == 0 {
            return refuse("has a step of 0");
        }
        let steps = ((limit - start) / delta + i128::from((limit - start) % delta != 0)).max(0);
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        self.budget.fold(steps)?;
        let values = (0..steps).map(|step| (start + step as i128 * delta) as i64);
        Ok(Array::list(values.collect()))
    }

    fn expand(&mut self, inputs: &Inputs<'m, 'f>, first: &Array) -> Result<Array, Refusal> {
        let wanted = self.sizes(inputs.weights(1)?)?;
        let Some(sizes) = broadcast(&[&first.dims, &wanted]) else {
            return refuse(format!("stretches {:?} to {wanted:?}", first.dims));
        };
        let elems = self.paid(&sizes)?;
        let places: Vec<usize> = Walk::new(&sizes, &first.dims).take(elems).collect();
        picked(first, sizes, &places)
    }

    fn constant_view(&mut self, inputs: &Inputs<'m, 'f>, first: &Array) -> Result<Array, Refusal> {
        self.budget.hold(first.len())?;
        match view(inputs.node, inputs, &first.dims)? {
            View::Same => Ok(first.with_dims(first.dims.clone())),
            View::Reshape(sizes) => Ok(first.with_dims(sizes)),
            View::Transpose(order) => {
                let steps = steps(&first.dims);
                let sizes: Vec<usize> = order.iter().map(|&at| first.dims[at]).collect();
                let steps = order.iter().map(|&at| steps[at]).collect();
                let places: Vec<usize> = Walk::with(&sizes, steps).take(first.len()).collect();
                let scales = first.scales.as_ref().and_then(|scales| {
                    let axis = order.iter().position(|&at| at == scales.axis)?;
                    Some(Rc::new(WeightScales {
                        scales: scales.scales.clone(),
                        axis,
                        is_symmetric: scales.is_symmetric,
                    }))
                });
                let mut turned = picked(first, sizes, &places)?;
                turned.scales = scales;
                Ok(turned)
            }
        }
    }

    fn gather(&mut self, inputs: &Inputs<'m, 'f>, first: &Array) -> Result<Array, Refusal> {
        let at = axis(inputs.node.int("axis")?.unwrap_or(0), first.dims.len())?;
        let indices = inputs.weights(1)?;
        let Some(list) = indices.as_ints() else {
            return refuse("has indices that are no whole numbers");
        };
        let side = first.dims[at];
        let mut sizes = first.dims[..at].to_vec();
        sizes.extend(&indices.dims);
        sizes.extend(&first.dims[at + 1..]);
        let elems = self.paid(&sizes)?;
        let inner: usize = first.dims[at + 1..].iter().product();
        let outer: usize = first.dims[..at].iter().product();
        let mut places = Vec::with_capacity(elems);
        for before in 0..outer {
            for &index in list {
                let from = if index < 0 { side as i64 } else { 0 };
                let index = usize::try_from(index.saturating_add(from)).ok();
                let Some(index) = index.filter(|&index| index < side) else {
                    return refuse(format!("has an index outside {:?}", first.dims));
                };
                let start = (before * side + index) * inner;
                places.extend(start..start + inner);
            }
        }
        picked(first, sizes, &places)
    }

    fn slice(&mut self, inputs: &Inputs<'m, 'f>, first: &Array) -> Result<Array, Refusal> {
        let starts = inputs.list("starts", 1)?.unwrap_or_default();
        let ends = inputs.list("ends", 2)?.unwrap_or_default();
        let axes = inputs.list("axes", 3)?;
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let strides = match inputs.constant(4)?.map(|array| array.as_ints()) {
            None => vec![1; starts.len()],
            Some(Some(list)) => list.to_vec(),
            Some(None) => return refuse("has steps that are no whole numbers"),
        };
        if [ends.len(), axes.len(), strides.len()] != [starts.len(); 3] {
            return refuse("has lists of different lengths for starts, ends, axes and steps");
        }
        // A constant without elements may have long sides.
        let sides = first
            .dims
            .iter()
            .fold(0usize, |sum, &dim| sum.saturating_add(dim));
        self.budget.fold(sides)?;
        let mut along: Vec<Vec<usize>> = first.dims.iter().map(|&dim| (0..dim).collect()).collect();
        for (((&start, &end), &given), &step) in starts.iter().zip(&ends).zip(&axes).zip(&strides) {
            let at = axis(given, first.dims.len())?;
            let side = first.dims[at] as i64;
            let from_end = |place: i64| {
                if place < 0 {
                    place.saturating_add(side)
                } else {
                    place
                }
            };
            along[at] = if step > 0 {
                let (start, end) = (from_end(start).max(0), from_end(end).min(side));
                let step = usize::try_from(step).unwrap_or(usize::MAX);
                (start..end).step_by(step).map(|at| at as usize).collect()
            } else if step < 0 {
                let (start, end) = (from_end(start).min(side - 1), from_end(end).max(-1));
                let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
                let places = (end + 1..=start).rev().step_by(step);
                places.filter_map(|at| usize::try_from(at).ok()).collect()
            } else {
                return refuse("has a step of 0");
            };
        }
        let sizes: Vec<usize> = along.iter().map(Vec::len).collect();
        self.paid(&sizes)?;
        let mut places = vec![0];
        for (along, step) in along.iter().zip(steps(&first.dims)) {
            places = places
                .iter()
                .flat_map(|&from| along.iter().map(move |&at| from + at * step))
                .collect();
        }
        picked(first, sizes, &places)
    }

    fn join(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Array, Refusal> {
        let node = inputs.node;
        let mut parts = vec![];
        for at in 0..node.inputs.len() {
            parts.push(&**inputs.weights(at)?);
        }
        let Some(first) = parts.first() else {
            return refuse("has no input; copy the file again");
        };
        let at = axis(node.int("axis")?.unwrap_or(0), first.dims.len())?;
        let mut sizes = first.dims.clone();
        sizes[at] = 0;
        for part in &parts {
            let alike = part.dims.len() == sizes.len()
                && (0..sizes.len()).all(|side| side == at || part.dims[side] == sizes[side]);
            if !alike {
                return refuse(format!(
                    "joins constants of {:?} and {:?}",
                    first.dims, part.dims
                ));
            }
            sizes[at] = sizes[at].saturating_add(part.dims[at]);
        }
        self.paid(&sizes)?;
        let outer: usize = sizes[..at].iter().product();
        let inner: usize = sizes[at + 1..].iter().product();
        let is_whole = parts.iter().all(|part| part.as_ints().is_some());
        fn rows<T: Copy>(lists: &[(Vec<T>, usize)], outer: usize) -> Vec<T> {
            let mut joined = vec![];
            for row in 0..outer {
                for (list, len) in lists {
                    joined.extend(list.iter().skip(row * len).take(*len));
                }
            }
            joined
        }
        let len = |part: &Array| part.dims[at] * inner;
        if is_whole {
            let lists = parts.iter().map(|part| {
                let ints = part.as_ints().unwrap_or_default();
                (ints.to_vec(), len(part))
            });
            return Ok(Array::ints(sizes, rows(&lists.collect::<Vec<_>>(), outer)));
        }
        let lists = parts.iter().map(|part| (part.to_floats(), len(part)));
        Ok(Array::floats(
            sizes,
            rows(&lists.collect::<Vec<_>>(), outer),
        ))
    }

    /// An operator on single numbers.
    fn each(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Array, Refusal> {
        let node = inputs.node;
        let Some(function) = function(node)? else {
            return refuse("is not supported on constants; fold them when exporting");
        };
        let mut arrays = vec![];
        for at in 0..node.inputs.len() {
            arrays.push(match (inputs.constant(at)?, at) {
                (Some(array), _) => (**array).clone(),
                (None, 1) => Array::floats(vec![], vec![f32::NEG_INFINITY]),
                (None, _) => Array::floats(vec![], vec![f32::INFINITY]),
            });
        }
        let more = constants(node, arrays.len())?;
        arrays.extend(
            more.iter()
                .map(|&more| Array::floats(vec![], vec![more as f32])),
        );
        let shapes: Vec<&[usize]> = arrays.iter().map(|array| &array.dims[..]).collect();
        let Some(sizes) = broadcast(&shapes) else {
            return refuse(format!("combines constants of {shapes:?}"));
        };
        let elems = self.paid(&sizes)?;
        let mut walks: Vec<Walk> = shapes.iter().map(|dims| Walk::new(&sizes, dims)).collect();
        let is_whole = arrays.iter().all(|array| array.as_ints().is_some());
        let (mut wholes, mut reals) = (vec![], vec![]);
        for _ in 0..elems {
            let at: Vec<usize> = walks.iter_mut().filter_map(Iterator::next).collect();
            if is_whole {
                let args: Option<Vec<i64>> = arrays
                    .iter()
                    .zip(&at)
                    .map(|(array, &at)| array.as_ints()?.get(at).copied())
                    .collect();
                match args.and_then(|args| whole(function, node.op, &args)) {
                    Some(value) => wholes.push(value),
                    None => return refuse("has no whole number as its value for these constants"),
                }
            } else {
                let args: Option<Vec<f64>> = arrays
                    .iter()
                    .zip(&at)
                    .map(|(array, &at)| array.real(at))
                    .collect();
                let args = args.unwrap_or_default();
                let mut value = match node.op {
                    "Sum" | "Mean" => args.iter().sum(),
                    _ => function.value(&args),
                };
                if node.op == "Mean" {
                    value /= args.len() as f64;
                }
                reals.push(value as f32);
            }
        }
        if is_whole {
            return Ok(Array::ints(sizes, wholes));
        }
        if function.is_truth() {
            let truths = reals.iter().map(|&value| value as i64).collect();
            return Ok(Array::ints(sizes, truths));
        }
        Ok(Array::floats(sizes, reals))
    }

    /// The number of elements of a shape, taken from the budget.
    fn paid(&mut self, sizes: &[usize]) -> Result<usize, Refusal> {
        match cost(sizes) {
            Some(cost) => {
                self.budget.fold(cost)?;
                Ok(sizes.iter().product())
            }
            None => refuse(format!(
                "makes a constant of {sizes:?}, which no small network has"
            )),
        }
    }
}

fn whole(function: Function, op: &str, args: &[i64]) -> Option<i64> {
    match op {
        "Sum" => args.iter().try_fold(0i64, |sum, &arg| sum.checked_add(arg)),
        "Pow" => {
            let (&base, &exponent) = (args.first()?, args.get(1)?);
            base.checked_pow(u32::try_from(exponent).ok()?)
        }
        _ => function.whole(args),
    }
}

fn picked(array: &Array, sizes: Vec<usize>, places: &[usize]) -> Result<Array, Refusal> {
    match array.pick(sizes, places) {
        Some(array) => Ok(array),
        None => refuse("reads outside a constant; copy the file again"),
    }
}

fn cast(array: &Array, to: i64) -> Result<Array, Refusal> {
    let dims = array.dims.clone();
    let whole = |value: f32| match to {
        elem::BOOL => i64::from(value != 0.0),
        _ => value as i64,
    };
    let data = match &array.data {
        _ if elem::is_float(to) => Data::Floats(array.to_floats()),
        Data::Ints(values) if to == elem::BOOL => {
            Data::Ints(values.iter().map(|&value| i64::from(value != 0)).collect())
        }
        Data::Ints(values) if elem::is_int(to) => Data::Ints(values.clone()),
        Data::Floats(values) if elem::is_int(to) => {
            Data::Ints(values.iter().map(|&value| whole(value)).collect())
        }
        _ => {
            return refuse(format!(
                "attribute `to` is {to}; types of real and whole numbers are supported"
            ));
        }
    };
    Ok(Array {
        elem: to,
        ..Array::of(dims, data)
    })
}

/// The dimensions to which several are stretched.
fn broadcast(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|dims| dims.len()).max()?;
    let mut sizes = vec![1; rank];
    for dims in shapes {
        for (size, &dim) in sizes.iter_mut().rev().zip(dims.iter().rev()) {
            if *size == 1 {
                *size = dim;
            } else if dim != 1 && dim != *size {
                return None;
            }
        }
    }
    Some(sizes)
}

/// How far apart neighbours along each dimension are.
fn steps(dims: &[usize]) -> Vec<usize> {
    let mut steps = vec![1usize; dims.len()];
    for at in (1..dims.len()).rev() {
        steps[at - 1] = steps[at].saturating_mul(dims[at]);
    }
    steps
}

/// Places in a constant, in the order of the elements of what is made of it.
struct Walk {
    sizes: Vec<usize>,
    steps: Vec<usize>,
    index: Vec<usize>,
    place: usize,
}

impl Walk {
    /// Over a constant that is stretched.
    fn new(sizes: &[usize], dims: &[usize]) -> Self {
        let mut stretched = vec![0; sizes.len().saturating_sub(dims.len())];
        let steps = steps(dims).into_iter().zip(dims);
        stretched.extend(steps.map(|(step, &dim)| if dim == 1 { 0 } else { step }));
        Self::with(sizes, stretched)
    }

    fn with(sizes: &[usize], steps: Vec<usize>) -> Self {
        Walk {
            sizes: sizes.to_vec(),
            steps,
            index: vec![0; sizes.len()],
            place: 0,
        }
    }
}

impl Iterator for Walk {
    type Item = usize;

    /// Begins anew behind the last place.
    fn next(&mut self) -> Option<usize> {
        let place = self.place;
        let counters = self.index.iter_mut().zip(&self.sizes).zip(&self.steps);
        for ((index, &size), &step) in counters.rev() {
            *index += 1;
            self.place += step;
            if *index < size {
                break;
            }
            self.place -= step * *index;
            *index = 0;
        }
        Some(place)
    }
}
