//! Samples: int8 embeddings with their labels, and a buffer that collects them.

use crate::LearnError;

/// Embeddings of the backbone and the class of each, borrowed.
///
/// # Shapes
/// `embeddings` is `[samples][features]`, `labels` is `[samples]`.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    embeddings: &'a [i8],
    labels: &'a [u16],
    features: usize,
}

impl<'a> Samples<'a> {
    /// Checks that there are `features` codes for every label.
    ///
    /// # Errors
    /// [`LearnError::NoFeatures`], [`LearnError::EmbeddingElems`].
    pub fn new(
        embeddings: &'a [i8],
        labels: &'a [u16],
        features: usize,
    ) -> Result<Self, LearnError> {
        if features == 0 {
            return Err(LearnError::NoFeatures);
        }
        let needed = labels.len().saturating_mul(features);
        if embeddings.len() != needed {
            let got = embeddings.len();
            return Err(LearnError::EmbeddingElems { needed, got });
        }
        Ok(Self {
            embeddings,
            labels,
            features,
        })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Codes of one embedding.
    pub fn features(&self) -> usize {
        self.features
    }

    /// All labels in order of arrival.
    pub fn labels(&self) -> &'a [u16] {
        self.labels
    }

    /// The embedding and label of sample `at`.
    pub fn get(&self, at: usize) -> Option<(&'a [i8], u16)> {
        let label = *self.labels.get(at)?;
        let start = at.checked_mul(self.features)?;
        let end = start.checked_add(self.features)?;
        Some((self.embeddings.get(start..end)?, label))
    }

    /// Embeddings and labels in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [i8], u16)> + use<'a> {
        let samples = *self;
        (0..samples.len()).filter_map(move |at| samples.get(at))
    }

    pub(crate) fn check_labels(&self, classes: usize) -> Result<(), LearnError> {
        for (at, &label) in self.labels.iter().enumerate() {
            if usize::from(label) >= classes {
                return Err(LearnError::LabelOutOfRange { at, label, classes });
            }
        }
        Ok(())
    }
}

/// Collects samples in memory that the caller lends.
///
/// # Example
/// ```
/// # use ocelli_learn::{LearnError, SampleBuffer};
/// let (mut embeddings, mut labels) = ([0i8; 6], [0u16; 2]);
/// let mut buffer = SampleBuffer::new(&mut embeddings, &mut labels, 3)?;
/// buffer.push(&[1, 2, 3], 0)?;
/// buffer.push(&[4, 5, 6], 1)?;
/// assert_eq!(buffer.push(&[7, 8, 9], 1), Err(LearnError::Full { capacity: 2 }));
/// assert_eq!(buffer.samples().get(1), Some((&[4i8, 5, 6][..], 1)));
/// # Ok::<(), LearnError>(())
/// ```
#[derive(Debug)]
pub struct SampleBuffer<'m> {
    embeddings: &'m mut [i8],
    labels: &'m mut [u16],
    features: usize,
    count: usize,
}

impl<'m> SampleBuffer<'m> {
    /// An empty buffer for as many samples as both slices can hold.
    ///
    /// # Errors
    /// [`LearnError::NoFeatures`].
    pub fn new(
        embeddings: &'m mut [i8],
        labels: &'m mut [u16],
        features: usize,
    ) -> Result<Self, LearnError> {
        if features == 0 {
            return Err(LearnError::NoFeatures);
        }
        Ok(Self {
            embeddings,
            labels,
            features,
            count: 0,
        })
    }

    /// Samples that fit.
    pub fn capacity(&self) -> usize {
        let rows = self.embeddings.len().checked_div(self.features);
        rows.unwrap_or(0).min(self.labels.len())
    }

    /// Samples that are held.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Copies one sample into the buffer.
    ///
    /// # Errors
    /// [`LearnError::EmbeddingElems`], [`LearnError::Full`]; the buffer is then as before.
    pub fn push(&mut self, embedding: &[i8], label: u16) -> Result<(), LearnError> {
        if embedding.len() != self.features {
            return Err(LearnError::EmbeddingElems {
                needed: self.features,
                got: embedding.len(),
            });
        }
        let capacity = self.capacity();
        let start = self.count.saturating_mul(self.features);
        let row = self.embeddings.get_mut(start..);
        let row = row.and_then(|free| free.get_mut(..self.features));
        let (Some(row), Some(slot)) = (row, self.labels.get_mut(self.count)) else {
            return Err(LearnError::Full { capacity });
        };
        for (to, &from) in row.iter_mut().zip(embedding) {
            *to = from;
        }
        *slot = label;
        self.count += 1;
        Ok(())
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// A view of what is held.
    pub fn samples(&self) -> Samples<'_> {
        let elems = self.count.saturating_mul(self.features);
        Samples {
            embeddings: self.embeddings.get(..elems).unwrap_or_default(),
            labels: self.labels.get(..self.count).unwrap_or_default(),
            features: self.features,
        }
    }
}

/// Fills `order` with the samples to train on, then the held-out ones; returns how many train.
///
/// Of each class, samples `every`, `2 * every`, … in order of arrival (counted from 1) are held out;
/// `every` = 0 holds none out. The samples to train on stand in order of class, then of arrival, the
/// held-out ones the other way round. `order` holds exactly one index a sample. Goes over the
/// labels once a class, since there is no memory for a counter per class.
pub(crate) fn split_held_out(
    labels: &[u16],
    classes: usize,
    every: u32,
    order: &mut [u32],
) -> usize {
    let mut free = order;
    let mut trained_on = 0;
    for class in 0..classes {
        let members = (0u32..)
            .zip(labels)
            .filter(|&(_, &label)| usize::from(label) == class);
        for (nth, (index, _)) in (1u32..).zip(members) {
            let slot = if nth.checked_rem(every) == Some(0) {
                free.split_off_last_mut()
            } else {
                trained_on += 1;
                free.split_off_first_mut()
            };
            if let Some(slot) = slot {
                *slot = index;
            }
        }
    }
    trained_on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_class_every_kth_sample_in_order_of_arrival_is_held_out() {
        let labels = [1, 0, 1, 1, 0, 2, 1, 0, 1, 0, 1];
        let mut order = [u32::MAX; 11];
        // Class 0 is samples 1, 4, 7, 9, class 1 is 0, 2, 3, 6, 8, 10, class 2 is 5.
        assert_eq!(split_held_out(&labels, 3, 3, &mut order), 8);
        assert_eq!(order[..8], [1, 4, 9, 0, 2, 6, 8, 5]);
        assert_eq!(order[8..], [10, 3, 7]);
    }

    #[test]
    fn the_held_out_part_has_the_share_of_every_class() {
        let labels: [u16; 300] = core::array::from_fn(|at| if at % 10 == 3 { 1 } else { 0 });
        let mut order = [0; 300];
        let trained_on = split_held_out(&labels, 2, 5, &mut order);
        let (train, held_out) = order.split_at(trained_on);
        let ones = |part: &[u32]| part.iter().filter(|&&i| labels[i as usize] == 1).count();
        assert_eq!((train.len(), ones(train)), (240, 24));
        assert_eq!((held_out.len(), ones(held_out)), (60, 6));
    }

    #[test]
    fn zero_holds_nothing_out() {
        let mut order = [0; 4];
        assert_eq!(split_held_out(&[1, 0, 1, 0], 2, 0, &mut order), 4);
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn embeddings_that_do_not_match_their_labels_are_refused() {
        let error = Samples::new(&[0; 5], &[0, 1], 3).unwrap_err();
        assert_eq!(error, LearnError::EmbeddingElems { needed: 6, got: 5 });
        assert_eq!(
            Samples::new(&[], &[], 0).unwrap_err(),
            LearnError::NoFeatures
        );
    }

    #[test]
    fn a_buffer_keeps_what_it_has_when_it_refuses_more() {
        // 7 codes hold two embeddings of 3, whatever the room for labels.
        let (mut embeddings, mut labels) = ([0; 7], [0; 5]);
        let mut buffer = SampleBuffer::new(&mut embeddings, &mut labels, 3).unwrap();
        assert_eq!(buffer.capacity(), 2);
        assert!(buffer.is_empty() && buffer.samples().is_empty());
        buffer.push(&[1, 2, 3], 4).unwrap();
        let error = buffer.push(&[1, 2], 4).unwrap_err();
        assert_eq!(error, LearnError::EmbeddingElems { needed: 3, got: 2 });
        buffer.push(&[5, 6, 7], 8).unwrap();
        assert_eq!(
            buffer.push(&[0, 0, 0], 0),
            Err(LearnError::Full { capacity: 2 })
        );
        let expected: [(&[i8], u16); 2] = [(&[1, 2, 3], 4), (&[5, 6, 7], 8)];
        assert!(buffer.samples().iter().eq(expected));
        buffer.clear();
        assert_eq!(buffer.len(), 0);
        buffer.push(&[9, 9, 9], 1).unwrap();
        assert_eq!(buffer.samples().labels(), [1]);
    }
}
