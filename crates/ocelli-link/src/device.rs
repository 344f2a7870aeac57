//! The board's side: a machine that answers requests, the same on a board and in a process of the host.

use ocelli::learn::{EmbeddingScale, embedding_scale};
use ocelli::{
    Image, InputError, KernelTable, LoadError, OpDigests, Progress, Session, arena_bytes, backend,
};
use zerocopy::FromBytes;

use crate::frame::{MESSAGE_BYTES, frame_bytes};
use crate::learning::{Learning, MAX_CLASSES, saturate};
use crate::message::{Codes, FrameError, Hello, Model, NoModel, PROTOCOL, Refusal, Reply, Request};

/// Bytes that a board sets aside for the frames of an image's requests and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// For the longest request.
    pub request_bytes: usize,
    /// For the longest reply.
    pub reply_bytes: usize,
}

impl Buffers {
    /// What an image needs; `None` for a board without one.
    pub fn new(image: Option<&Image<'_>>) -> Self {
        let (row, embedding, outputs) = image.map_or((0, 0, 0), |image| {
            let head = image.head().and_then(|head| image.op(head));
            let embedding = head.map_or(0, |head| image.tensor(head.inputs[0]).elems());
            (image.input().row_elems(), embedding, image.output().elems())
        });
        Self {
            request_bytes: frame_bytes(row.max(embedding) + MESSAGE_BYTES),
            reply_bytes: frame_bytes(outputs.max(MAX_CLASSES.into()) + MESSAGE_BYTES),
        }
    }
}

/// A device that answers requests: a session, what it learns, and the order in which things may be asked.
///
/// It takes the arena and the digests of ops from the start of its memory; samples, head and training get the rest.
pub struct Device<'a> {
    memory_bytes: usize,
    model: Result<Running<'a>, NoModel>,
}

struct Running<'a> {
    session: Session<'a>,
    facts: Model,
    embedding_scale: Option<EmbeddingScale>,
    digests: OpDigests<'a>,
    digests_wanted: bool,
    seeing: Seeing,
    learning: Option<Learning>,
    learning_memory: &'a mut [u8],
}

/// How far the inference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seeing {
    Nothing,
    Rows,
    Everything,
}

impl<'a> Device<'a> {
    /// A device that runs `image` in `memory`, which starts at a multiple of 16.
    ///
    /// Without an image, or with one that cannot run here, the device says so to every request that needs it.
    pub fn new(image: Option<&Image<'a>>, kernels: &'a KernelTable, memory: &'a mut [u8]) -> Self {
        Self {
            memory_bytes: memory.len(),
            model: image
                .ok_or(NoModel::Image)
                .and_then(|image| Running::new(image, kernels, memory)),
        }
    }

    /// Answers a request: calls `reply` any number of times with progress and then once with the final reply.
    pub fn handle(&mut self, request: &Request<'_>, reply: &mut impl FnMut(&Reply<'_>)) {
        let answer = match (&mut self.model, request) {
            (_, Request::Bye) => {
                reply(&Reply::Bye);
                Ok(())
            }
            (model, Request::Hello) => {
                reply(&Reply::Hello(Hello {
                    protocol: PROTOCOL,
                    backend: backend(),
                    memory_bytes: saturate(self.memory_bytes),
                    model: model
                        .as_ref()
                        .map(|running| running.facts)
                        .map_err(|&no| no),
                }));
                Ok(())
            }
            (Ok(running), request) => running.handle(request, reply),
            (Err(reason), _) => Err(Refusal::NoModel(*reason)),
        };
        if let Err(refusal) = answer {
            reply(&Reply::Refused(refusal));
        }
    }

    /// Answers a frame that held no request. Everything else stays as it is.
    pub fn refuse(&self, error: FrameError, reply: &mut impl FnMut(&Reply<'_>)) {
        reply(&Reply::Refused(Refusal::Frame(error)));
    }
}

impl<'a> Running<'a> {
    fn new(
        image: &Image<'a>,
        kernels: &'a KernelTable,
        memory: &'a mut [u8],
    ) -> Result<Self, NoModel> {
        // Rounded up, so that what comes behind is aligned; too large for memory where that is no number.
        let arena = arena_bytes(image).checked_next_multiple_of(16);
        let arena = arena.unwrap_or(usize::MAX);
        let digests = image.op_count().saturating_mul(size_of::<u32>());
        let error = NoModel::Memory {
            needed: saturate(arena.saturating_add(digests)),
            got: saturate(memory.len()),
        };
        let (arena, memory) = memory.split_at_mut_checked(arena).ok_or(error)?;
        let arena_bytes = saturate(arena.len());
        let session = Session::new(image, arena, kernels)?;
        let (values, learning_memory) =
            <[u32]>::mut_from_prefix_with_elems(memory, image.op_count()).map_err(|_| error)?;
        let facts = Model {
            image_crc: image.crc(),
            arena_bytes,
            ops: saturate(image.op_count()),
            input_rows: saturate(image.input().h),
            input_row_elems: saturate(image.input().row_elems()),
            outputs: saturate(image.output().elems()),
            features: saturate(session.embedding().len()),
        };
        Ok(Self {
            session,
            facts,
            embedding_scale: embedding_scale(image),
            digests: OpDigests::new(values),
            digests_wanted: false,
            seeing: Seeing::Nothing,
            learning: None,
            learning_memory,
        })
    }

    fn handle(
        &mut self,
        request: &Request<'_>,
        reply: &mut impl FnMut(&Reply<'_>),
    ) -> Result<(), Refusal> {
        match *request {
            Request::Begin { digests } => {
                self.session.reset();
                self.digests.reset();
                self.digests_wanted = digests;
                self.seeing = Seeing::Rows;
                let mut observer = self.digests_wanted.then_some(&mut self.digests);
                let progress = self.session.advance(&mut observer);
                self.tell(progress, reply);
            }
            Request::Row { pixels } => {
                self.expect_rows()?;
                let mut observer = self.digests_wanted.then_some(&mut self.digests);
                let progress = self.session.push_row(pixels, &mut observer)?;
                self.tell(progress, reply);
            }
            Request::Codes { codes } => {
                self.expect_rows()?;
                let mut observer = self.digests_wanted.then_some(&mut self.digests);
                let progress = self.session.push_row(codes.0, &mut observer)?;
                self.tell(progress, reply);
            }
            Request::Collect { samples, classes } => {
                self.embedding_scale.ok_or(Refusal::NoEmbedding)?;
                let features = self.session.embedding().len();
                let learning = Learning::new(features, classes, samples, self.learning_memory)?;
                reply(&Reply::Collecting {
                    memory_bytes: learning.bytes(),
                });
                self.learning = Some(learning);
            }
            Request::Observe { label } => {
                let embedding = seen(&self.session, self.seeing)?;
                let learning = self.learning.as_mut().ok_or(Refusal::Order)?;
                let count = learning.observe(embedding, label, self.learning_memory)?;
                reply(&Reply::Observed { count });
            }
            Request::Sample { label, embedding } => {
                let learning = self.learning.as_mut().ok_or(Refusal::Order)?;
                let count = learning.observe(embedding.0, label, self.learning_memory)?;
                reply(&Reply::Observed { count });
            }
            Request::Train(ref training) => {
                let scale = self.embedding_scale.ok_or(Refusal::NoEmbedding)?;
                let learning = self.learning.as_mut().ok_or(Refusal::Order)?;
                let trained = learning.train(training, scale, self.learning_memory, reply)?;
                reply(&Reply::Trained(trained));
            }
            Request::Classify => {
                let embedding = seen(&self.session, self.seeing)?;
                let learning = self.learning.as_ref().ok_or(Refusal::Order)?;
                let codes = learning.classify(embedding, self.learning_memory)?;
                reply(&Reply::Scores { codes });
            }
            // Answered by the device.
            Request::Hello | Request::Bye => {}
        }
        Ok(())
    }

    fn expect_rows(&self) -> Result<(), Refusal> {
        if self.seeing == Seeing::Rows {
            Ok(())
        } else {
            Err(Refusal::Order)
        }
    }

    /// The final reply to a row: the next one, or the scores.
    fn tell(&mut self, progress: Progress, reply: &mut impl FnMut(&Reply<'_>)) {
        if let Progress::NeedsRow(row) = progress {
            reply(&Reply::NeedsRow { row: saturate(row) });
            return;
        }
        self.seeing = Seeing::Everything;
        if self.digests_wanted {
            for (op, &digest) in (0..).zip(self.digests.digests()) {
                reply(&Reply::Op { op, digest });
            }
        }
        let codes = Codes(self.session.output());
        reply(&Reply::Scores { codes });
    }
}

/// The embedding of the image just seen.
fn seen<'s>(session: &'s Session<'_>, seeing: Seeing) -> Result<&'s [i8], Refusal> {
    match seeing {
        Seeing::Everything => Ok(session.embedding()),
        Seeing::Nothing | Seeing::Rows => Err(Refusal::Order),
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Length { needed, got } => Self::Length {
                needed: saturate(needed),
                got: saturate(got),
            },
            InputError::NotNeeded => Self::Order,
            InputError::NoPreprocess => Self::NoPreprocess,
        }
    }
}

impl From<LoadError> for NoModel {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Arena { needed, got } | LoadError::Region { needed, got, .. } => {
                Self::Memory {
                    needed: saturate(needed),
                    got: saturate(got),
                }
            }
            LoadError::ArenaMisaligned => Self::Misaligned,
            LoadError::Kernel { at, .. } => Self::Kernel { op: saturate(at) },
            LoadError::Op { at, .. }
            | LoadError::Ring { at, .. }
            | LoadError::Overlap { at }
            | LoadError::Scratch { at, .. } => Self::Op { op: saturate(at) },
        }
    }
}
