//! Resizing along one direction, in whole numbers.

/// A number of samples made into another: a mean over areas when they become fewer, else linear interpolation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub from: u32,
    pub to: u32,
}

impl Axis {
    /// Whether samples are averaged; otherwise there are more outputs than inputs.
    pub const fn shrinks(self) -> bool {
        self.from >= self.to
    }

    /// The sum of the weights of one output.
    pub const fn unit(self) -> u32 {
        if self.shrinks() {
            self.from
        } else {
            2 * self.to
        }
    }

    /// Calls `emit` with each output, `unit` times as large as a sample, in order.
    #[inline]
    pub fn resize(self, samples: impl Iterator<Item = [u8; 3]>, emit: impl FnMut([u32; 3])) {
        if self.shrinks() {
            self.average(samples, emit);
        } else {
            self.interpolate(samples, emit);
        }
    }

    /// An output is as long as `from`, a sample as long as `to`: a sample that reaches over an output's end is divided.
    #[inline]
    fn average(self, samples: impl Iterator<Item = [u8; 3]>, mut emit: impl FnMut([u32; 3])) {
        let mut area = Area::new(self);
        let mut sum = [0; 3];
        for sample in samples {
            let share = area.take();
            sum = weighted(sum, sample, share.inside);
            if share.ends {
                emit(sum);
                sum = weighted([0; 3], sample, share.behind);
            }
        }
    }

    #[inline]
    fn interpolate(
        self,
        mut samples: impl Iterator<Item = [u8; 3]>,
        mut emit: impl FnMut([u32; 3]),
    ) {
        let Some(mut next) = samples.next() else {
            return;
        };
        let mut last = next;
        let mut between = Between::new(self);
        for _ in 0..self.to {
            let [a, b] = between.weights();
            emit(weighted(weighted([0; 3], last, a), next, b));
            between.step();
            if between.is_past() {
                between.move_on();
                last = next;
                next = samples.next().unwrap_or(next);
            }
        }
    }
}

#[inline]
fn weighted(sum: [u32; 3], sample: [u8; 3], weight: u32) -> [u32; 3] {
    let ([a, b, c], [x, y, z]) = (sum, sample.map(u32::from));
    [a + weight * x, b + weight * y, c + weight * z]
}

/// Where in an output the next sample begins, when samples become fewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    axis: Axis,
    room: u32,
}

/// How a sample is divided between the current output and the next one.
pub(super) struct Share {
    pub inside: u32,
    pub behind: u32,
    /// The current output is complete.
    pub ends: bool,
}

impl Area {
    pub const fn new(axis: Axis) -> Self {
        Area {
            axis,
            room: axis.from,
        }
    }

    /// The next sample. It is no longer than an output, so it ends one at most.
    #[inline]
    pub fn take(&mut self) -> Share {
        let inside = self.axis.to.min(self.room);
        let behind = self.axis.to - inside;
        self.room -= inside;
        let ends = self.room == 0;
        if ends {
            self.room = self.axis.from - behind;
        }
        Share {
            inside,
            behind,
            ends,
        }
    }
}

/// Where an output lies between two samples, when samples become more; from one to the next it is twice `to`.
///
/// It begins between a sample before the first, equal to it, and the first; behind the last there is one more like it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    axis: Axis,
    phase: u32,
}

impl Between {
    /// The first output's middle is at `from` in units in which the first sample's is at `to`, and its precursor's at `-to`.
    pub const fn new(axis: Axis) -> Self {
        Between {
            axis,
            phase: axis.from + axis.to,
        }
    }

    /// Whether the next output lies behind both samples.
    pub const fn is_past(&self) -> bool {
        self.phase >= 2 * self.axis.to
    }

    /// The weights of the sample before the output and of the one behind it.
    pub const fn weights(&self) -> [u32; 2] {
        [(2 * self.axis.to).saturating_sub(self.phase), self.phase]
    }

    /// Goes to the next output.
    pub const fn step(&mut self) {
        self.phase += 2 * self.axis.from;
    }

    /// The sample behind becomes the one before.
    pub const fn move_on(&mut self) {
        self.phase = self.phase.saturating_sub(2 * self.axis.to);
    }
}
