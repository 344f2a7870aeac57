//! Small ONNX files, made part by part.

use std::path::Path;

use ocelli_convert::ImportError;
use ocelli_convert::graph::Op;
use ocelli_convert::onnx::{self, Imported};
use ocelli_convert::passes::canonicalize;

use super::protobuf::{field, int_field};

/// A `NodeProto` with attributes that are written already.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs
        .iter()
        .flat_map(|input| field(1, input.as_bytes()))
        .collect();
    node.extend(field(2, output.as_bytes()));
    node.extend(field(3, format!("the {op}").as_bytes()));
    node.extend(field(4, op.as_bytes()));
    for attribute in attributes {
        node.extend(field(5, attribute));
    }
    node
}

pub fn ints(name: &str, numbers: &[i64]) -> Vec<u8> {
    let mut attribute = field(1, name.as_bytes());
    for &number in numbers {
        attribute.extend(int_field(8, number as u64));
    }
    attribute.extend(int_field(20, 7));
    attribute
}

pub fn int(name: &str, number: i64) -> Vec<u8> {
    let mut attribute = field(1, name.as_bytes());
    attribute.extend(int_field(3, number as u64));
    attribute.extend(int_field(20, 2));
    attribute
}

/// A `TensorProto` of f32.
pub fn floats(name: &str, dims: &[usize], numbers: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    raw(name, dims, 1, &bytes)
}

pub fn raw(name: &str, dims: &[usize], kind: u64, bytes: &[u8]) -> Vec<u8> {
    let mut tensor: Vec<u8> = dims
        .iter()
        .flat_map(|&dim| int_field(1, dim as u64))
        .collect();
    tensor.extend(int_field(2, kind));
    tensor.extend(field(8, name.as_bytes()));
    tensor.extend(field(9, bytes));
    tensor
}

/// A `ValueInfoProto`; a dimension of 0 is open.
pub fn info(name: &str, dims: &[usize]) -> Vec<u8> {
    let shape: Vec<u8> = dims
        .iter()
        .flat_map(|&dim| {
            let dim = match dim {
                0 => field(2, b"open"),
                dim => int_field(1, dim as u64),
            };
            field(1, &dim)
        })
        .collect();
    let tensor = [int_field(1, 1), field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// A network of operator set 17 from `x` to `y`.
pub struct Network {
    pub graph: Vec<u8>,
}

impl Network {
    pub fn new(input: &[usize]) -> Self {
        let ends = [field(11, &info("x", input)), field(12, &info("y", &[]))];
        let graph = ends.concat();
        Network { graph }
    }

    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Self {
        let node = node(op, inputs, output, attributes);
        self.graph.extend(field(1, &node));
        self
    }

    pub fn tensor(mut self, tensor: Vec<u8>) -> Self {
        self.graph.extend(field(5, &tensor));
        self
    }

    pub fn scalar(self, name: &str, number: f32) -> Self {
        self.tensor(floats(name, &[], &[number]))
    }

    pub fn list(self, name: &str, numbers: &[i64]) -> Self {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(raw(name, &[numbers.len()], 7, &bytes))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let set = [field(1, b""), int_field(2, 17)].concat();
        [int_field(1, 8), field(7, &self.graph), field(8, &set)].concat()
    }

    pub fn import(&self) -> Result<Imported, ImportError> {
        onnx::import_bytes(&self.bytes(), Path::new("net.onnx"))
    }

    pub fn refusal(&self) -> String {
        self.import().map(|_| ()).unwrap_err().to_string()
    }

    /// The ops after the passes.
    pub fn ops(&self) -> Vec<Op> {
        let graph = canonicalize(self.import().unwrap().graph).unwrap();
        graph.nodes.into_iter().map(|node| node.op).collect()
    }
}
