//! The messages of an ONNX file, as far as they matter here; all texts and bytes are borrowed from the file.
//!
//! # Source
//! ONNX 1.19, `onnx.proto`.

use super::protobuf::{Damage, Value, fields};

/// `TensorProto.DataType`.
pub mod elem {
    pub const FLOAT: i64 = 1;
    pub const UINT8: i64 = 2;
    pub const INT8: i64 = 3;
    pub const UINT16: i64 = 4;
    pub const INT16: i64 = 5;
    pub const INT32: i64 = 6;
    pub const INT64: i64 = 7;
    pub const BOOL: i64 = 9;
    pub const FLOAT16: i64 = 10;
    pub const DOUBLE: i64 = 11;
    pub const UINT32: i64 = 12;
    pub const UINT64: i64 = 13;
    pub const BFLOAT16: i64 = 16;

    /// Whether a type holds real numbers.
    pub fn is_float(elem: i64) -> bool {
        matches!(elem, FLOAT | FLOAT16 | DOUBLE | BFLOAT16)
    }

    /// Whether a type holds whole numbers (or truth values).
    pub fn is_int(elem: i64) -> bool {
        matches!(
            elem,
            UINT8 | INT8 | UINT16 | INT16 | INT32 | INT64 | BOOL | UINT32 | UINT64
        )
    }
}

/// A whole file.
pub struct Model<'f> {
    /// Version of the default operator set.
    pub opset: i64,
    pub graph: Graph<'f>,
}

/// The network.
#[derive(Default)]
pub struct Graph<'f> {
    pub name: &'f str,
    pub nodes: Vec<Node<'f>>,
    pub initializers: Vec<Tensor<'f>>,
    pub inputs: Vec<ValueInfo<'f>>,
    pub outputs: Vec<ValueInfo<'f>>,
    /// Whether there are initializers that list only what is not zero.
    pub sparse: bool,
}

/// One operator.
#[derive(Default)]
pub struct Node<'f> {
    pub inputs: Vec<&'f str>,
    pub outputs: Vec<&'f str>,
    pub name: &'f str,
    pub op: &'f str,
    pub domain: &'f str,
    pub attributes: Vec<Attribute<'f>>,
}

/// A parameter of an operator.
#[derive(Default)]
pub struct Attribute<'f> {
    pub name: &'f str,
    pub content: Content<'f>,
}

/// What an attribute holds.
#[derive(Default)]
pub enum Content<'f> {
    /// A subgraph, a sparse tensor, a type or a reference: nothing that any supported operator has.
    #[default]
    Other,
    Float(f32),
    Int(i64),
    Text(&'f str),
    Tensor(Box<Tensor<'f>>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

/// A constant as it lies in the file.
#[derive(Default)]
pub struct Tensor<'f> {
    pub name: &'f str,
    pub dims: Vec<i64>,
    pub elem: i64,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
    pub doubles: Vec<f64>,
    pub raw: Option<&'f [u8]>,
    /// Key and value pairs that say where the data lies, if it is not in this file.
    pub external: Option<Vec<(&'f str, &'f str)>>,
    /// Whether it is one of several parts, or holds texts.
    pub odd: bool,
}

/// An input or output of the network.
#[derive(Default)]
pub struct ValueInfo<'f> {
    pub name: &'f str,
    /// Of a tensor: the type of its elements and its dimensions, as far as they are said.
    pub tensor: Option<(i64, Option<Vec<Dim<'f>>>)>,
}

/// A dimension of an input.
#[derive(Debug, Clone, Copy, Default)]
pub enum Dim<'f> {
    Known(i64),
    Named(&'f str),
    #[default]
    Unknown,
}

impl<'f> Model<'f> {
    pub fn read(bytes: &'f [u8]) -> Result<Self, Damage> {
        let what = "model";
        let (mut opset, mut graph) = (None, None);
        for field in fields(bytes, what) {
            match field? {
                (7, value) => graph = Some(Graph::read(value.bytes("graph")?)?),
                (8, value) => {
                    let (domain, version) = operator_set(value.bytes("operator set")?)?;
                    if matches!(domain, "" | "ai.onnx") {
                        opset = Some(version);
                    }
                }
                _ => {}
            }
        }
        let graph = graph.ok_or(Damage { what: "graph" })?;
        let what = "version of the operator set";
        let opset = opset.ok_or(Damage { what })?;
        Ok(Model { opset, graph })
    }
}

fn operator_set(bytes: &[u8]) -> Result<(&str, i64), Damage> {
    let what = "operator set";
    let (mut domain, mut version) = ("", 0);
    for field in fields(bytes, what) {
        match field? {
            (1, value) => domain = value.text(what)?,
            (2, value) => version = value.int(what)?,
            _ => {}
        }
    }
    Ok((domain, version))
}

impl<'f> Graph<'f> {
    fn read(bytes: &'f [u8]) -> Result<Self, Damage> {
        let mut graph = Graph::default();
        for field in fields(bytes, "graph") {
            let (number, value) = field?;
            match number {
                1 => graph.nodes.push(Node::read(value.bytes("node")?)?),
                2 => graph.name = value.text("graph name")?,
                5 => {
                    let tensor = Tensor::read(value.bytes("initializer")?)?;
                    graph.initializers.push(tensor);
                }
                11 => graph.inputs.push(ValueInfo::read(value)?),
                12 => graph.outputs.push(ValueInfo::read(value)?),
                15 => graph.sparse = true,
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'f> Node<'f> {
    fn read(bytes: &'f [u8]) -> Result<Self, Damage> {
        let what = "node";
        let mut node = Node::default();
        for field in fields(bytes, what) {
            let (number, value) = field?;
            match number {
                1 => node.inputs.push(value.text(what)?),
                2 => node.outputs.push(value.text(what)?),
                3 => node.name = value.text(what)?,
                4 => node.op = value.text(what)?,
                5 => node
                    .attributes
                    .push(Attribute::read(value.bytes("attribute")?)?),
                7 => node.domain = value.text(what)?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'f> Attribute<'f> {
    fn read(bytes: &'f [u8]) -> Result<Self, Damage> {
        let what = "attribute";
        let mut name = "";
        let mut kind = None;
        let (mut float, mut int, mut text, mut tensor) = (0.0, 0, None, None);
        let (mut floats, mut ints, mut other) = (vec![], vec![], false);
        for field in fields(bytes, what) {
            let (number, value) = field?;
            match number {
                1 => name = value.text(what)?,
                2 => float = value.float(what)?,
                3 => int = value.int(what)?,
                4 => text = Some(value),
                5 => tensor = Some(Tensor::read(value.bytes("tensor")?)?),
                7 => value.floats(&mut floats, what)?,
                8 => value.ints(&mut ints, what)?,
                20 => kind = Some(value.int(what)?),
                6 | 9..=11 | 14 | 15 | 21..=23 => other = true,
                _ => {}
            }
        }
        // What is zero is not written: only the type says which field is meant.
        let content = match kind {
            _ if other => Content::Other,
            Some(1) => Content::Float(float),
            Some(2) => Content::Int(int),
            Some(3) => Content::Text(text.map_or(Ok(""), |text| text.text(what))?),
            Some(4) => Content::Tensor(Box::new(tensor.ok_or(Damage { what })?)),
            Some(6) => Content::Floats(floats),
            Some(7) => Content::Ints(ints),
            _ => Content::Other,
        };
        Ok(Attribute { name, content })
    }
}

impl<'f> Tensor<'f> {
    pub fn read(bytes: &'f [u8]) -> Result<Self, Damage> {
        let what = "tensor";
        let mut tensor = Tensor::default();
        let (mut external, mut is_external) = (vec![], false);
        for field in fields(bytes, what) {
            let (number, value) = field?;
            match number {
                1 => value.ints(&mut tensor.dims, what)?,
                2 => tensor.elem = value.int(what)?,
                3 | 6 => tensor.odd = true,
                4 => value.floats(&mut tensor.floats, what)?,
                5 | 7 | 11 => value.ints(&mut tensor.ints, what)?,
                8 => tensor.name = value.text(what)?,
                9 => tensor.raw = Some(value.bytes(what)?),
                10 => value.doubles(&mut tensor.doubles, what)?,
                13 => external.push(pair(value.bytes(what)?)?),
                14 => is_external = value.int(what)? == 1,
                _ => {}
            }
        }
        tensor.external = is_external.then_some(external);
        Ok(tensor)
    }
}

fn pair(bytes: &[u8]) -> Result<(&str, &str), Damage> {
    let what = "place of external data";
    let (mut key, mut text) = ("", "");
    for field in fields(bytes, what) {
        match field? {
            (1, value) => key = value.text(what)?,
            (2, value) => text = value.text(what)?,
            _ => {}
        }
    }
    Ok((key, text))
}

impl<'f> ValueInfo<'f> {
    fn read(value: Value<'f>) -> Result<Self, Damage> {
        let what = "input or output";
        let mut info = ValueInfo::default();
        for field in fields(value.bytes(what)?, what) {
            match field? {
                (1, value) => info.name = value.text(what)?,
                // TypeProto, whose field 1 is a tensor.
                (2, value) => {
                    for field in fields(value.bytes(what)?, what) {
                        if let (1, value) = field? {
                            info.tensor = Some(tensor_type(value.bytes(what)?)?);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(info)
    }
}

fn tensor_type(bytes: &[u8]) -> Result<(i64, Option<Vec<Dim<'_>>>), Damage> {
    let what = "tensor type";
    let (mut elem, mut dims) = (0, None);
    for field in fields(bytes, what) {
        match field? {
            (1, value) => elem = value.int(what)?,
            (2, value) => {
                let list = dims.get_or_insert_with(Vec::new);
                for field in fields(value.bytes(what)?, what) {
                    if let (1, value) = field? {
                        list.push(dim(value.bytes(what)?)?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok((elem, dims))
}

fn dim(bytes: &[u8]) -> Result<Dim<'_>, Damage> {
    let what = "dimension";
    let mut dim = Dim::Unknown;
    for field in fields(bytes, what) {
        match field? {
            (1, value) => dim = Dim::Known(value.int(what)?),
            (2, value) => dim = Dim::Named(value.text(what)?),
            _ => {}
        }
    }
    Ok(dim)
}
