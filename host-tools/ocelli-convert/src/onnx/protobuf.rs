//! Reading Protocol Buffers without trust: a message is its fields in order, each checked against the bytes there are.
//!
//! ONNX needs only the wire format's four live ideas: a varint, four or eight fixed bytes, and a length with so many
//! bytes behind it, which are text, a nested message or packed numbers. Nothing is copied and nothing nests by itself,
//! so that a hostile file can neither ask for memory nor for stack.
//!
//! # Source
//! Protocol Buffers, "Encoding".

use std::fmt;

/// The bytes end early or follow no rule of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// What was expected.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what;
        write!(
            f,
            "no ONNX file, or damaged or cut short: there is no whole {what}; copy it again"
        )
    }
}

/// The value of a field, as far as the wire format knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'f> {
    /// An integer, a boolean or an enum.
    Varint(u64),
    /// Eight bytes: an f64.
    Eight([u8; 8]),
    /// Text, a message or packed numbers.
    Bytes(&'f [u8]),
    /// Four bytes: an f32.
    Four([u8; 4]),
}

impl<'f> Value<'f> {
    /// A signed integer.
    pub fn int(self, what: &'static str) -> Result<i64, Damage> {
        match self {
            // Negative numbers are written as their two's complement in 64 bits.
            Value::Varint(bits) => Ok(bits as i64),
            _ => Err(Damage { what }),
        }
    }

    /// A number of single precision.
    pub fn float(self, what: &'static str) -> Result<f32, Damage> {
        match self {
            Value::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(Damage { what }),
        }
    }

    /// The bytes of a message or of raw data.
    pub fn bytes(self, what: &'static str) -> Result<&'f [u8], Damage> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Damage { what }),
        }
    }

    /// Text.
    pub fn text(self, what: &'static str) -> Result<&'f str, Damage> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| Damage { what })
    }

    /// Adds the integers of a repeated field, packed or one by one.
    pub fn ints(self, to: &mut Vec<i64>, what: &'static str) -> Result<(), Damage> {
        let Value::Bytes(mut rest) = self else {
            to.push(self.int(what)?);
            return Ok(());
        };
        while !rest.is_empty() {
            to.push(varint(&mut rest).ok_or(Damage { what })? as i64);
        }
        Ok(())
    }

    /// Adds the numbers of single precision of a repeated field.
    pub fn floats(self, to: &mut Vec<f32>, what: &'static str) -> Result<(), Damage> {
        let Value::Bytes(bytes) = self else {
            to.push(self.float(what)?);
            return Ok(());
        };
        let (numbers, rest) = bytes.as_chunks();
        to.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Damage { what })
        }
    }

    /// Adds the numbers of double precision of a repeated field.
    pub fn doubles(self, to: &mut Vec<f64>, what: &'static str) -> Result<(), Damage> {
        let bytes = match &self {
            Value::Bytes(bytes) => bytes,
            Value::Eight(bytes) => &bytes[..],
            _ => return Err(Damage { what }),
        };
        let (numbers, rest) = bytes.as_chunks();
        to.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Damage { what })
        }
    }
}

/// The fields of a message, in the file's order.
pub fn fields<'f>(
    bytes: &'f [u8],
    what: &'static str,
) -> impl Iterator<Item = Result<(u64, Value<'f>), Damage>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest).ok_or(Damage { what });
        if field.is_err() {
            // Nothing can be said of what follows a broken field.
            rest = &[];
        }
        Some(field)
    })
}

fn field<'f>(rest: &mut &'f [u8]) -> Option<(u64, Value<'f>)> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Eight(*take(rest, 8)?.first_chunk()?),
        2 => {
            let len = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, len)?)
        }
        5 => Value::Four(*take(rest, 4)?.first_chunk()?),
        // Groups are from before ONNX.
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'f>(rest: &mut &'f [u8], len: usize) -> Option<&'f [u8]> {
    let (taken, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(taken)
}

/// Seven bits a byte, the lowest first; the highest bit says that another byte follows.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Damage> {
        fields(bytes, "message").collect()
    }

    #[test]
    fn a_message_is_its_fields_in_order() {
        // Field 1 = 150 (Google's own example), field 2 = "testing", field 3 = 1.0f32.
        let bytes = b"\x08\x96\x01\x12\x07testing\x1d\0\0\x80\x3f";
        let got = all(bytes).unwrap();
        assert_eq!(got[0], (1, Value::Varint(150)));
        assert_eq!(got[1].1.text("name"), Ok("testing"));
        assert_eq!(got[2].1.float("number"), Ok(1.0));
    }

    #[test]
    fn numbers_may_be_packed_or_single() {
        let mut ints = vec![];
        Value::Varint(u64::MAX).ints(&mut ints, "ints").unwrap();
        let packed = Value::Bytes(&[3, 0x8e, 0x02]);
        packed.ints(&mut ints, "ints").unwrap();
        assert_eq!(ints, [-1, 3, 270]);
        let what = "ints";
        let cut = Value::Bytes(&[0x8e]).ints(&mut ints, what);
        assert_eq!(cut, Err(Damage { what }));
    }

    #[test]
    fn what_is_cut_short_or_no_field_is_refused() {
        let what = "message";
        let bytes = b"\x08\x96\x01\x12\x07testing";
        for len in [1, 2, 4, 5, 8] {
            assert_eq!(all(&bytes[..len]), Err(Damage { what }), "{len}");
        }
        // A length of 2^64 - 1, a group, and a varint that does not end.
        assert!(all(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err());
        assert!(all(b"\x0b").is_err());
        assert!(all(&[0xff; 11]).is_err());
    }
}
