//! Writing Protocol Buffers: as much as ONNX needs.

/// A message in the making: its fields in the order in which they are added.
#[derive(Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// Its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// With a whole number or an enum.
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.key(field, 0);
        // Negative numbers are their two's complement in 64 bits.
        self.varint(value as u64);
        self
    }

    /// With a number.
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// With bytes or text.
    pub fn bytes(mut self, field: u32, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// With another message.
    pub fn message(self, field: u32, message: Message) -> Self {
        self.bytes(field, message.0)
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_bytes_of_the_encoding_guide() {
        // The three examples of the guide: 150 as field 1, "testing" as field 2, and the first as field 3 of another.
        let number = || Message::default().int(1, 150);
        assert_eq!(number().into_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().bytes(2, "testing").into_bytes();
        assert_eq!(text, [b"\x12\x07", b"testing".as_slice()].concat());
        let nested = Message::default().message(3, number()).into_bytes();
        assert_eq!(nested, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let negative = Message::default().int(1, -1).into_bytes();
        assert_eq!(negative.len(), 11);
        let float = Message::default().float(1, 1.0).into_bytes();
        assert_eq!(float, [0x0d, 0x00, 0x00, 0x80, 0x3f]);
    }
}
