//! The door: every rule of the format, checked once.

use zerocopy::little_endian::F32;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::body::{OpKind, WeightPacking};
use crate::crc32::Crc32;
use crate::error::{ParseError, SectionKind};
use crate::reader::Image;
use crate::record::*;

impl<'a> Image<'a> {
    /// Checks a file and returns it as a readable image.
    ///
    /// `bytes` may be longer than the image (a flash region, say) and must start at a multiple of [`ALIGNMENT`].
    ///
    /// # Errors
    /// One [`ParseError`] per rule of the format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header_bytes = size_of::<Header>();
        let too_short = |needed| ParseError::TooShort {
            needed,
            got: bytes.len(),
        };
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| too_short(header_bytes))?;
        if header.magic != MAGIC {
            return Err(ParseError::Magic);
        }
        if bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Err(ParseError::Misaligned);
        }
        let image_bytes = header.image_bytes.get() as usize;
        let bytes = bytes
            .get(..image_bytes.max(header_bytes))
            .ok_or(too_short(image_bytes.max(header_bytes)))?;
        let computed = Crc32::of(bytes.get(CRC_FROM..).unwrap_or(&[]));
        if computed != header.crc.get() {
            // A newer version may lay out the rest in another way, its checksum included.
            check_version(header)?;
            return Err(ParseError::Checksum {
                stored: header.crc.get(),
                computed,
            });
        }
        check_version(header)?;
        if header.reserved != [0; 6] {
            return Err(ParseError::Reserved);
        }
        let sections = Sections::find(bytes, header)?;
        let image = sections.image(bytes, header)?;
        image.check_tensors()?;
        image.check_ops()?;
        image.check_segments()?;
        image.check_optional()?;
        image.check_regions()?;
        Ok(image)
    }

    fn check_tensors(&self) -> Result<(), ParseError> {
        for (at, record) in self.tensors.iter().enumerate() {
            let tensor = self.tensor(at);
            if record.reserved != 0 || record.reserved2.get() != 0 {
                return Err(ParseError::Reserved);
            }
            if tensor.h == 0 || tensor.w == 0 || tensor.c == 0 {
                return Err(ParseError::TensorExtent { at });
            }
            if tensor.rows_held == 0 || tensor.rows_held > tensor.h {
                return Err(ParseError::RowsHeld { at });
            }
            let elems = (tensor.w as u64) * (tensor.c as u64);
            let whole = elems * tensor.h as u64;
            let end = tensor.offset as u64 + elems * tensor.rows_held as u64;
            // Whole tensors beyond 31 bits could not be counted on the device.
            if end > self.arena_bytes() as u64 || whole > i32::MAX as u64 {
                return Err(ParseError::TensorBounds { at });
            }
        }
        Ok(())
    }

    fn check_ops(&self) -> Result<(), ParseError> {
        for (at, record) in self.ops.iter().enumerate() {
            if record.reserved.get() != 0 {
                return Err(ParseError::Reserved);
            }
            let got = record.kind;
            let kind = OpKind::from_number(got).ok_or(ParseError::OpKind { at, got })?;
            let has_filters = matches!(
                kind,
                OpKind::Conv2d | OpKind::Depthwise | OpKind::Pointwise | OpKind::Dense
            );
            match WeightPacking::from_number(record.weight_packing) {
                Some(WeightPacking::Canonical) => {}
                Some(WeightPacking::Paired) if has_filters => {}
                _ => return Err(ParseError::OpPacking { at }),
            }
            let [first, second] = record.inputs.map(|input| input.get());
            let made = |input: u16| usize::from(input) <= at;
            if !made(first)
                || (if kind.input_count() == 2 {
                    !made(second)
                } else {
                    second != NONE
                })
            {
                return Err(ParseError::OpInput { at });
            }
            if record.rows_per_step.get() == 0 {
                return Err(ParseError::OpRowsPerStep { at });
            }
            let scratch_end =
                u64::from(record.scratch_offset.get()) + u64::from(record.scratch_bytes.get());
            if scratch_end > self.arena_bytes() as u64 {
                return Err(ParseError::OpScratch { at });
            }
            self.check_params(at, record, kind)?;
        }
        Ok(())
    }

    /// That the parameters, and the weights that they speak of, lie in their sections.
    fn check_params(&self, at: usize, record: &OpRecord, kind: OpKind) -> Result<(), ParseError> {
        let reserved = match kind {
            OpKind::Conv2d | OpKind::Depthwise => self.params::<ConvRecord>(record).map(|_| 0),
            OpKind::Pointwise | OpKind::Dense => self.params::<ChannelsRecord>(record).map(|_| 0),
            OpKind::Add => self
                .params::<AddRecord>(record)
                .map(|add| add.reserved.get()),
            OpKind::AveragePool | OpKind::MaxPool => self.params::<PoolRecord>(record).map(|_| 0),
            OpKind::GlobalAveragePool => self
                .params::<GlobalAveragePoolRecord>(record)
                .map(|pool| pool.reserved.get()),
            OpKind::Pad => self.params::<PaddingRecord>(record).map(|_| 0),
            OpKind::Softmax => self.params::<SoftmaxRecord>(record).map(|_| 0),
            OpKind::Multiply => self
                .params::<MultiplyRecord>(record)
                .map(|multiply| multiply.reserved.get()),
            OpKind::Table => self.params::<TableRecord>(record).map(|_| 0),
            OpKind::LayerNorm => self.params::<LayerNormRecord>(record).map(|_| 0),
            OpKind::Concat => self.params::<ConcatRecord>(record).map(|_| 0),
        };
        let reserved = reserved.ok_or(ParseError::OpParams { at })?;
        if reserved != 0 {
            return Err(ParseError::Reserved);
        }
        self.op(at).map(|_| ()).ok_or(ParseError::OpWeights { at })
    }

    /// That the segments are the ops, and that only whole tensors cross from one to another.
    fn check_segments(&self) -> Result<(), ParseError> {
        let mut end = 0;
        for segment in self.segments() {
            end = segment.ops.end;
            if segment.ops.is_empty() || end > self.ops.len() {
                return Err(ParseError::Segments);
            }
            for at in segment.ops.clone() {
                let inputs = self.op(at).map_or([0; 2], |op| op.inputs);
                for input in inputs {
                    // The input's rows come while the first segment runs, so there they may be a ring.
                    let made_here =
                        input > segment.ops.start || (input == 0 && segment.ops.start == 0);
                    let tensor = self.tensor(input);
                    if !made_here && tensor.rows_held != tensor.h {
                        return Err(ParseError::TensorNotWhole { at: input });
                    }
                }
            }
        }
        if end != self.ops.len() {
            return Err(ParseError::Segments);
        }
        let output = self.output();
        if output.rows_held != output.h {
            return Err(ParseError::TensorNotWhole { at: self.ops.len() });
        }
        Ok(())
    }

    /// Classifier, labels, names, preprocessing and scales.
    fn check_optional(&self) -> Result<(), ParseError> {
        if let Some(head) = self.head() {
            let op = self.op(head).ok_or(ParseError::Head)?;
            if op.body.kind() != OpKind::Dense {
                return Err(ParseError::Head);
            }
            // The embedding is read when everything has run.
            let embedding = self.tensor(op.inputs[0]);
            if embedding.rows_held != embedding.h {
                return Err(ParseError::TensorNotWhole { at: op.inputs[0] });
            }
        }
        if self.labels.is_some() && self.labels().count() != self.output().elems() {
            return Err(ParseError::Text {
                kind: SectionKind::Labels,
            });
        }
        if self.names.is_some() && self.names().count() != self.tensors.len() + self.ops.len() {
            return Err(ParseError::Text {
                kind: SectionKind::Names,
            });
        }
        if let Some(preprocess) = self.preprocess {
            let known = ResizeFilter::from_number(preprocess.filter).is_some();
            if !known
                || preprocess.resize_shorter.get() == 0
                || preprocess.reserved != 0
                || self.input().c != 3
            {
                return Err(ParseError::Preprocess);
            }
        }
        if let Some(scales) = self.scales {
            let channels = |op: usize| {
                self.op(op)
                    .and_then(|op| Some(op.body.channels()?.bias.len()))
            };
            let needed =
                self.tensors.len() + (0..self.ops.len()).filter_map(channels).sum::<usize>();
            if scales.len() != needed {
                return Err(ParseError::SectionSize {
                    kind: SectionKind::Scales,
                });
            }
            // Positive and finite, told from the bits: no float arithmetic in a parser for soft-float targets.
            let usable =
                |scale: &F32| (1..0x7f80_0000).contains(&u32::from_le_bytes(scale.to_bytes()));
            if !scales.iter().all(usable) {
                return Err(ParseError::Scale);
            }
        }
        Ok(())
    }
    /// That the regions are the arena, and that nothing lies in two of them.
    fn check_regions(&self) -> Result<(), ParseError> {
        if self.regions.is_empty() {
            return Ok(());
        }
        let mut total = 0;
        for (at, record) in self.regions.iter().enumerate() {
            let bytes = record.bytes.get();
            if record.name().is_none() || !bytes.is_multiple_of(ALIGNMENT as u32) {
                return Err(ParseError::Region { at });
            }
            total += u64::from(bytes);
        }
        if total != self.arena_bytes() as u64 {
            return Err(ParseError::Regions);
        }
        let in_one = |start, bytes| self.regions().any(|region| region.holds(start, bytes));
        for at in 0..self.tensors.len() {
            let tensor = self.tensor(at);
            if !in_one(tensor.offset, tensor.held_bytes()) {
                return Err(ParseError::TensorRegion { at });
            }
        }
        for (at, op) in self.ops.iter().enumerate() {
            let bytes = op.scratch_bytes.get() as usize;
            if bytes > 0 && !in_one(op.scratch_offset.get() as usize, bytes) {
                return Err(ParseError::ScratchRegion { at });
            }
        }
        Ok(())
    }
}

fn check_version(header: &Header) -> Result<(), ParseError> {
    match header.version.get() {
        1..=VERSION => Ok(()),
        got => Err(ParseError::Version {
            supported: VERSION,
            got,
        }),
    }
}

/// The sections by kind.
#[derive(Default)]
struct Sections<'a>([Option<&'a [u8]>; 11]);

impl<'a> Sections<'a> {
    fn find(bytes: &'a [u8], header: &Header) -> Result<Self, ParseError> {
        let mut sections = Sections::default();
        let count = usize::from(header.section_count.get());
        let table = bytes.get(size_of::<Header>()..).unwrap_or(&[]);
        let (table, _) =
            <[SectionRecord]>::ref_from_prefix_with_elems(table, count).map_err(|_| {
                let needed = size_of::<Header>() + count * size_of::<SectionRecord>();
                ParseError::TooShort {
                    needed,
                    got: bytes.len(),
                }
            })?;
        for (at, record) in table.iter().enumerate() {
            if record.reserved.get() != 0 || record.required.get() > 1 {
                return Err(ParseError::Reserved);
            }
            let offset = record.offset.get() as usize;
            if !offset.is_multiple_of(ALIGNMENT) {
                return Err(ParseError::SectionAlignment { at });
            }
            let section = bytes
                .get(offset..)
                .and_then(|rest| rest.get(..record.bytes.get() as usize));
            let section = section.ok_or(ParseError::SectionBounds { at })?;
            let number = record.kind.get();
            let Some(kind) = SectionKind::from_number(number) else {
                if record.required.get() == 1 {
                    return Err(ParseError::SectionUnknown { kind: number });
                }
                continue;
            };
            match sections.0.get_mut(kind as usize) {
                Some(place @ None) => *place = Some(section),
                _ => return Err(ParseError::SectionTwice { kind }),
            }
        }
        Ok(sections)
    }

    fn get(&self, kind: SectionKind) -> Option<&'a [u8]> {
        *self.0.get(kind as usize)?
    }

    fn needed(&self, kind: SectionKind) -> Result<&'a [u8], ParseError> {
        self.get(kind).ok_or(ParseError::SectionMissing { kind })
    }

    /// A section of exactly `count` records.
    fn records<T>(&self, kind: SectionKind, count: usize) -> Result<&'a [T], ParseError>
    where
        T: FromBytes + Immutable + KnownLayout,
    {
        let records = <[T]>::ref_from_bytes_with_elems(self.needed(kind)?, count);
        records.map_err(|_| ParseError::SectionSize { kind })
    }

    fn text(&self, kind: SectionKind) -> Result<Option<&'a str>, ParseError> {
        let text = self.get(kind).map(core::str::from_utf8).transpose();
        text.map_err(|_| ParseError::Text { kind })
    }

    fn image(&self, bytes: &'a [u8], header: &'a Header) -> Result<Image<'a>, ParseError> {
        let ops = usize::from(header.op_count.get());
        if ops == 0 {
            return Err(ParseError::Empty);
        }
        let preprocess = self
            .get(SectionKind::Preprocess)
            .map(PreprocessRecord::ref_from_bytes)
            .transpose();
        let scales = self
            .get(SectionKind::Scales)
            .map(<[F32]>::ref_from_bytes)
            .transpose();
        let regions = match self.get(SectionKind::Regions) {
            None => &[],
            Some(bytes) => <[RegionRecord]>::ref_from_bytes(bytes)
                .ok()
                .filter(|regions| (2..=MAX_REGIONS).contains(&regions.len()))
                .ok_or(ParseError::SectionSize {
                    kind: SectionKind::Regions,
                })?,
        };
        Ok(Image {
            bytes,
            header,
            tensors: self.records(SectionKind::Tensors, ops + 1)?,
            ops: self.records(SectionKind::Ops, ops)?,
            segments: self.records(SectionKind::Segments, header.segment_count.get().into())?,
            params: self.needed(SectionKind::Params)?,
            weights: self.needed(SectionKind::Weights)?,
            preprocess: preprocess.map_err(|_| ParseError::SectionSize {
                kind: SectionKind::Preprocess,
            })?,
            labels: self.text(SectionKind::Labels)?,
            names: self.text(SectionKind::Names)?,
            scales: scales.map_err(|_| ParseError::SectionSize {
                kind: SectionKind::Scales,
            })?,
            regions,
        })
    }
}
