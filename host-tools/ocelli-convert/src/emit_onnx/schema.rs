//! The messages of ONNX files.

use super::protobuf::Message;

/// The operator set that the file is written in: the first that has GELU as an operator.
pub const OPSET: i64 = 20;
/// The version of the file format that goes with it.
pub const IR_VERSION: i64 = 9;

/// Types of elements.
const FLOAT: i64 = 1;
const INT8: i64 = 3;
const INT32: i64 = 6;
const INT64: i64 = 7;

/// What an attribute says.
#[derive(Clone, Copy)]
pub enum Attribute<'a> {
    Float(f32),
    Int(i64),
    Text(&'a str),
    Ints(&'a [i64]),
}

impl Attribute<'_> {
    fn message(&self, name: &str) -> Message {
        let message = Message::default().bytes(1, name);
        match *self {
            Attribute::Float(value) => message.float(2, value).int(20, 1),
            Attribute::Int(value) => message.int(3, value).int(20, 2),
            Attribute::Text(text) => message.bytes(4, text).int(20, 3),
            Attribute::Ints(values) => values
                .iter()
                .fold(message, |message, &value| message.int(8, value))
                .int(20, 7),
        }
    }
}

/// An operator.
pub struct Node<'a> {
    pub name: &'a str,
    pub op: &'a str,
    /// Without names where optional ones are left out.
    pub inputs: &'a [&'a str],
    pub output: &'a str,
    pub attributes: &'a [(&'a str, Attribute<'a>)],
}

impl Node<'_> {
    pub fn message(&self) -> Message {
        let inputs = self.inputs.iter();
        let message = inputs.fold(Message::default(), |message, input| message.bytes(1, input));
        let message = message
            .bytes(2, self.output)
            .bytes(3, self.name)
            .bytes(4, self.op);
        let attributes = self.attributes.iter();
        attributes.fold(message, |message, (name, value)| {
            message.message(5, value.message(name))
        })
    }
}

/// The elements of a constant.
pub enum Elements<'a> {
    Float(&'a [f32]),
    Int8(&'a [i8]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
}

impl Elements<'_> {
    /// A constant of this name; no dimensions make it a single number.
    pub fn tensor(&self, name: &str, dims: &[usize]) -> Message {
        let (kind, bytes): (i64, Vec<u8>) = match *self {
            Elements::Float(values) => {
                (FLOAT, values.iter().flat_map(|x| x.to_le_bytes()).collect())
            }
            Elements::Int8(values) => (INT8, values.iter().map(|&x| x as u8).collect()),
            Elements::Int32(values) => {
                (INT32, values.iter().flat_map(|x| x.to_le_bytes()).collect())
            }
            Elements::Int64(values) => {
                (INT64, values.iter().flat_map(|x| x.to_le_bytes()).collect())
            }
        };
        dims.iter()
            .fold(Message::default(), |message, &dim| {
                message.int(1, dim as i64)
            })
            .int(2, kind)
            .bytes(8, name)
            .bytes(9, bytes)
    }
}

/// The name and the shape of real numbers; the batch of samples comes before `dims`, as large as one likes.
pub fn value_info(name: &str, dims: &[usize]) -> Message {
    let batch = Message::default().bytes(2, "N");
    let shape = dims
        .iter()
        .map(|&dim| Message::default().int(1, dim as i64));
    let shape = [batch]
        .into_iter()
        .chain(shape)
        .fold(Message::default(), |shape, dim| shape.message(1, dim));
    let tensor = Message::default().int(1, FLOAT).message(2, shape);
    Message::default()
        .bytes(1, name)
        .message(2, Message::default().message(1, tensor))
}

/// The file around a graph.
pub fn model(graph: Message) -> Vec<u8> {
    let opset = Message::default().bytes(1, "").int(2, OPSET);
    Message::default()
        .int(1, IR_VERSION)
        .bytes(2, "ocelli")
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .message(7, graph)
        .message(8, opset)
        .into_bytes()
}
