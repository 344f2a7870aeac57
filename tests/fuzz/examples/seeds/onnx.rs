//! Small ONNX files, written field by field.

/// A field of Protocol Buffers that holds bytes.
fn bytes(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 1 << 14, "a length of at most two bytes");
    let length = [bytes.len() as u8 & 0x7f | 0x80, (bytes.len() >> 7) as u8];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

/// A field that holds an integer; the last of ten bytes is its sign.
fn int(number: u8, int: i64) -> Vec<u8> {
    let groups = (0..10).map(|at| {
        let more = if at < 9 { 0x80 } else { 0 };
        (int as u64 >> (7 * at)) as u8 & 0x7f | more
    });
    // The only field above 15 is an attribute's type: its key has two bytes.
    let key = [
        number << 3 | if number > 15 { 0x80 } else { 0 },
        number >> 4,
    ];
    let key = key.into_iter().take(if number > 15 { 2 } else { 1 });
    key.chain(groups).collect()
}

/// What an attribute is.
pub enum Is {
    Int(i64),
    Float(f32),
    Ints(&'static [i64]),
    Text(&'static str),
}

/// A node: operator, inputs, output, attributes.
pub type Node = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, Is)],
);

/// Constants: name, sides; whole numbers if there are some, else real ones that follow a pattern.
pub type Constant = (&'static str, &'static [i64], &'static [i64]);

fn attribute((name, is): &(&str, Is)) -> Vec<u8> {
    let (kind, value) = match is {
        Is::Float(value) => (1, [&[2 << 3 | 5], &value.to_le_bytes()[..]].concat()),
        Is::Int(value) => (2, int(3, *value)),
        Is::Text(value) => (3, bytes(4, value.as_bytes())),
        Is::Ints(values) => (7, values.iter().flat_map(|value| int(8, *value)).collect()),
    };
    [bytes(1, name.as_bytes()), value, int(20, kind)].concat()
}

fn node((operator, inputs, output, attributes): &Node) -> Vec<u8> {
    let inputs = inputs.split(' ').map(|name| bytes(1, name.as_bytes()));
    let attributes = attributes.iter().map(|given| bytes(5, &attribute(given)));
    let mut node = inputs.collect::<Vec<_>>().concat();
    node.extend(bytes(2, output.as_bytes()));
    node.extend(bytes(4, operator.as_bytes()));
    node.extend(attributes.collect::<Vec<_>>().concat());
    node
}

fn constant((name, sides, whole): &Constant) -> Vec<u8> {
    let count = sides.iter().product::<i64>();
    let real = (0..count).flat_map(|at| (((at + 4) % 7 - 3) as f32 / 4.0).to_le_bytes());
    let (kind, raw): (i64, Vec<u8>) = if whole.is_empty() {
        (1, real.collect())
    } else {
        (7, whole.iter().flat_map(|x| x.to_le_bytes()).collect())
    };
    let mut tensor: Vec<u8> = sides.iter().flat_map(|&side| int(1, side)).collect();
    tensor.extend(int(2, kind));
    tensor.extend(bytes(8, name.as_bytes()));
    tensor.extend(bytes(9, &raw));
    tensor
}

/// A value of real numbers with these sides.
fn value(name: &str, sides: &[i64]) -> Vec<u8> {
    let sides = sides.iter().map(|&side| bytes(1, &int(1, side)));
    let shape = bytes(2, &sides.collect::<Vec<_>>().concat());
    let tensor = bytes(1, &[int(1, 1), shape].concat());
    [bytes(1, name.as_bytes()), bytes(2, &tensor)].concat()
}

/// A file in which `x` flows to `y`.
pub fn file(opset: i64, x: &[i64], constants: &[Constant], nodes: &[Node]) -> Vec<u8> {
    let mut graph: Vec<u8> = nodes
        .iter()
        .flat_map(|given| bytes(1, &node(given)))
        .collect();
    graph.extend(bytes(2, b"g"));
    for given in constants {
        graph.extend(bytes(5, &constant(given)));
    }
    graph.extend(bytes(11, &value("x", x)));
    graph.extend(bytes(12, &value("y", &[])));
    [
        int(1, 8),
        bytes(7, &graph),
        bytes(8, &[bytes(1, b""), int(2, opset)].concat()),
    ]
    .concat()
}
