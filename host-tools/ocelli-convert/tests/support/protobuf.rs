//! As much of Protocol Buffers as it takes to make ONNX files, and to give the ONNX project's their weights.
#![allow(dead_code, reason = "each test file uses its own part of this module")]

/// The fields of a message: number, the whole field's bytes, and the bytes or the integer inside.
pub fn fields(mut rest: &[u8]) -> Vec<(u64, &[u8], Content<'_>)> {
    let mut found = vec![];
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest);
        let content = match key & 7 {
            0 => Content::Int(varint(&mut rest)),
            1 => Content::Bytes(rest.split_off(..8).unwrap()),
            2 => {
                let len = varint(&mut rest) as usize;
                Content::Bytes(rest.split_off(..len).unwrap())
            }
            _ => Content::Bytes(rest.split_off(..4).unwrap()),
        };
        found.push((key >> 3, &start[..start.len() - rest.len()], content));
    }
    found
}

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    Int(u64),
    Bytes(&'a [u8]),
}

impl<'a> Content<'a> {
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Content::Bytes(bytes) => bytes,
            Content::Int(_) => panic!("an integer, no bytes"),
        }
    }

    pub fn text(self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = *rest.split_off_first().unwrap();
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

/// A field that holds bytes.
pub fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![];
    write_varint(&mut field, number << 3 | 2);
    write_varint(&mut field, bytes.len() as u64);
    field.extend(bytes);
    field
}

/// A field that holds an integer.
pub fn int_field(number: u64, int: u64) -> Vec<u8> {
    let mut field = vec![];
    write_varint(&mut field, number << 3);
    write_varint(&mut field, int);
    field
}

fn write_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Dimensions and numbers of a `TensorProto`, if it holds real numbers.
pub fn tensor(bytes: &[u8]) -> Option<(Vec<usize>, Vec<f32>)> {
    let (mut dims, mut raw, mut kind) = (vec![], &[][..], 0);
    for (number, _, content) in fields(bytes) {
        match (number, content) {
            (1, Content::Int(dim)) => dims.push(dim as usize),
            (1, Content::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    dims.push(varint(&mut packed) as usize);
                }
            }
            (2, Content::Int(elem)) => kind = elem,
            (4 | 9, Content::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let numbers = match kind {
        1 => raw
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect(),
        10 => {
            let halves = raw.as_chunks().0.iter();
            halves
                .map(|&bytes| half::f16::from_le_bytes(bytes).to_f32())
                .collect()
        }
        11 => {
            let doubles = raw.as_chunks().0.iter();
            doubles
                .map(|&bytes| f64::from_le_bytes(bytes) as f32)
                .collect()
        }
        _ => return None,
    };
    Some((dims, numbers))
}
