//! Reading FlatBuffers without trust: every access is checked, and a wrong offset is an error.
//!
//! The generated code of the `flatbuffers` crate is large and full of `unsafe`, which this crate forbids. The few fields
//! of a TensorFlow Lite file that matter here need only the wire format's three ideas: a *table* points back to its
//! *vtable*, which says where each field lies or that it has its default; a *vector* is a count and its elements; and a
//! table, vector or text is referred to by its distance from the reference.
//!
//! # Source
//! FlatBuffers, "FlatBuffer Binary Format".

use std::fmt;

/// Something that the file refers to and does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// What it is, as in "vector at byte".
    pub what: &'static str,
    /// Its place or number.
    pub at: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { what, at } = self;
        write!(
            f,
            "the file is damaged or cut short: there is no {what} {at}; copy it again"
        )
    }
}

/// A number of the wire format, little-endian.
pub trait Number: Copy {
    /// Its bytes.
    const BYTES: usize;
    /// The number in the first bytes, if there are enough.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Number for $number {
            const BYTES: usize = size_of::<$number>();
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| <$number>::from_le_bytes(*bytes))
            }
        }
    )*};
}

numbers!(u8, i8, u16, i32, u32, i64, u64, f32);

/// A table of the file.
#[derive(Clone, Copy)]
pub struct Table<'f> {
    file: &'f [u8],
    at: usize,
    /// The places of its fields, two bytes each.
    fields: &'f [u8],
}

impl<'f> Table<'f> {
    /// The root table, behind a four-byte identifier.
    pub fn root(file: &'f [u8]) -> Result<Self, Damage> {
        Table::new(file, follow(file, 0)?)
    }

    fn new(file: &'f [u8], at: usize) -> Result<Self, Damage> {
        let what = "table at byte";
        let back: i32 = number(file, at, what)?;
        let vtable = (at as i64).checked_sub(back.into());
        let vtable = vtable.and_then(|vtable| usize::try_from(vtable).ok());
        let vtable = vtable.ok_or(Damage { what, at })?;
        let bytes: u16 = number(file, vtable, what)?;
        let fields = vtable
            .checked_add(4)
            .zip(vtable.checked_add(bytes.into()))
            .and_then(|(from, to)| file.get(from..to));
        let fields = fields.ok_or(Damage { what, at: vtable })?;
        Ok(Table { file, at, fields })
    }

    /// Where a field lies, unless it has its default.
    fn place(&self, field: usize) -> Option<usize> {
        let offset = self.fields.get(2 * field..).and_then(u16::read)?;
        (offset != 0).then(|| self.at + usize::from(offset))
    }

    /// Whether a field is there.
    pub fn has(&self, field: usize) -> bool {
        self.place(field).is_some()
    }

    /// A number, or its default.
    pub fn number<T: Number>(&self, field: usize, default: T) -> Result<T, Damage> {
        self.place(field)
            .map_or(Ok(default), |at| number(self.file, at, "number at byte"))
    }

    /// A table that this one refers to.
    pub fn table(&self, field: usize) -> Result<Option<Table<'f>>, Damage> {
        let table = |at| Table::new(self.file, follow(self.file, at)?);
        self.place(field).map(table).transpose()
    }

    /// The tables of a vector; none if it is not there.
    pub fn tables(&self, field: usize) -> Result<Vec<Table<'f>>, Damage> {
        let Some((from, bytes)) = self.vector(field, 4)? else {
            return Ok(vec![]);
        };
        (from..from + bytes.len())
            .step_by(4)
            .map(|at| Table::new(self.file, follow(self.file, at)?))
            .collect()
    }

    /// The numbers of a vector; none if it is not there.
    pub fn numbers<T: Number>(&self, field: usize) -> Result<Vec<T>, Damage> {
        let bytes = self
            .vector(field, T::BYTES)?
            .map_or(&[][..], |(_, bytes)| bytes);
        Ok(bytes.chunks_exact(T::BYTES).filter_map(T::read).collect())
    }

    /// The bytes of a vector of bytes; none if it is not there.
    pub fn bytes(&self, field: usize) -> Result<&'f [u8], Damage> {
        Ok(self.vector(field, 1)?.map_or(&[], |(_, bytes)| bytes))
    }

    /// A text; empty if it is not there.
    pub fn text(&self, field: usize) -> Result<&'f str, Damage> {
        let bytes = self.bytes(field)?;
        let at = self.place(field).unwrap_or(self.at);
        let what = "text of UTF-8 at byte";
        std::str::from_utf8(bytes).map_err(|_| Damage { what, at })
    }

    /// Where a vector's elements begin, and their bytes.
    fn vector(&self, field: usize, elem: usize) -> Result<Option<(usize, &'f [u8])>, Damage> {
        let Some(place) = self.place(field) else {
            return Ok(None);
        };
        let what = "vector at byte";
        let at = follow(self.file, place)?;
        let count: u32 = number(self.file, at, what)?;
        let from = at + 4;
        let bytes = (count as usize)
            .checked_mul(elem)
            .and_then(|bytes| from.checked_add(bytes))
            .and_then(|to| self.file.get(from..to));
        let bytes = bytes.ok_or(Damage { what, at })?;
        Ok(Some((from, bytes)))
    }
}

fn number<T: Number>(file: &[u8], at: usize, what: &'static str) -> Result<T, Damage> {
    let number = file.get(at..).and_then(T::read);
    number.ok_or(Damage { what, at })
}

/// The place that the reference at `at` names.
fn follow(file: &[u8], at: usize) -> Result<usize, Damage> {
    let what = "reference at byte";
    let distance: u32 = number(file, at, what)?;
    at.checked_add(distance as usize).ok_or(Damage { what, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root table with a number in field 1, and a vector of two bytes in field 2.
    const FILE: [u8; 34] = [
        16, 0, 0, 0, b'T', b'F', b'L', b'3', // root, identifier
        8, 0, 16, 0, 0, 0, 4,
        0, // vtable: its bytes, the table's, no field 0, field 1 (at 8 + 2 * 3)
        8, 0, 0,
        0, // the table: 8 back to its vtable; field 2 would be behind the vtable's end
        7, 0, 0, 0, // field 1
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn fields_are_found_by_the_vtable_and_have_defaults() {
        let table = Table::root(&FILE).unwrap();
        assert_eq!(table.number(0, 5i32), Ok(5));
        assert_eq!(table.number(1, 5i32), Ok(7));
        assert_eq!(table.number(2, 5i32), Ok(5));
        assert_eq!(table.numbers::<i32>(9), Ok(vec![]));
    }

    #[test]
    fn a_vector_that_leaves_the_file_is_refused_with_its_place() {
        // Field 1 read as a reference leads 7 bytes on, to byte 27, where the count is 0.
        let mut file = FILE;
        assert_eq!(Table::root(&file).unwrap().bytes(1), Ok(&[][..]));
        file[27] = 4;
        let at = 27;
        let what = "vector at byte";
        assert_eq!(
            Table::root(&file).unwrap().bytes(1),
            Err(Damage { what, at })
        );
        file[27] = 3;
        assert_eq!(Table::root(&file).unwrap().bytes(1), Ok(&[0, 0, 0][..]));
    }

    #[test]
    fn a_vtable_outside_the_file_is_refused() {
        let mut file = FILE;
        file[16] = 17;
        let at = 16;
        let what = "table at byte";
        assert_eq!(Table::root(&file).err(), Some(Damage { what, at }));
    }
}
