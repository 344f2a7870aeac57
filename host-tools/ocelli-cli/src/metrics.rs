//! How well a classifier does: accuracy, recall, F1 and who is taken for whom.

use std::fmt;

use serde::Serialize;

use crate::table::Table;

/// The title of predictions that are none of the classes looked for.
const OTHER: &str = "(other)";

/// Counts of what was taken for what.
pub struct Confusion {
    classes: Vec<String>,
    /// For each class, how often it was taken for each class; the last count is of everything else.
    counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// No image seen.
    pub fn new(classes: &[String]) -> Self {
        Self {
            classes: classes.to_vec(),
            counts: vec![vec![0; classes.len() + 1]; classes.len()],
        }
    }

    /// An image of class `actual` was taken for `predicted`, `None` for what is no class here.
    pub fn add(&mut self, actual: usize, predicted: Option<usize>) {
        let column = predicted.unwrap_or(self.classes.len());
        if let Some(count) = self
            .counts
            .get_mut(actual)
            .and_then(|row| row.get_mut(column))
        {
            *count += 1;
        }
    }

    /// The figures.
    pub fn metrics(self) -> Metrics {
        let count = |actual: usize, predicted: usize| self.counts[actual][predicted];
        let all = 0..self.classes.len();
        let classes: Vec<ClassMetrics> = all
            .clone()
            .map(|class| {
                let right = count(class, class);
                let images: usize = self.counts[class].iter().sum();
                let predicted: usize = all.clone().map(|actual| count(actual, class)).sum();
                ClassMetrics {
                    name: self.classes[class].clone(),
                    images,
                    recall: ratio(right, images),
                    precision: ratio(right, predicted),
                    // 2 TP / (2 TP + FN + FP); a class that was neither there nor predicted has none.
                    f1: ratio(2 * right, images + predicted),
                }
            })
            .collect();
        let images = classes.iter().map(|class| class.images).sum();
        let correct = all.map(|class| count(class, class)).sum();
        let f1: Vec<f64> = classes.iter().filter_map(|class| class.f1).collect();
        let mut columns = self.classes;
        let mut counts = self.counts;
        if counts.iter().all(|row| row.last() == Some(&0)) {
            counts
                .iter_mut()
                .for_each(|row| row.truncate(columns.len()));
        } else {
            columns.push(OTHER.to_string());
        }
        Metrics {
            images,
            correct,
            accuracy: ratio(correct, images),
            macro_f1: (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64),
            classes,
            confusion: Matrix { columns, counts },
        }
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// The first class with the largest code.
pub fn arg_max(codes: &[i8]) -> Option<usize> {
    // `max_by_key` gives the last of equals.
    let (class, _) = codes
        .iter()
        .enumerate()
        .rev()
        .max_by_key(|&(_, code)| code)?;
    Some(class)
}

/// A share as reports print it.
fn shown(share: Option<f64>) -> String {
    share.map_or("-".to_string(), |share| format!("{share:.3}"))
}

/// How well a classifier did on some images.
#[derive(Serialize)]
pub struct Metrics {
    images: usize,
    correct: usize,
    /// Shares are absent where there is nothing to have a share of.
    accuracy: Option<f64>,
    macro_f1: Option<f64>,
    classes: Vec<ClassMetrics>,
    confusion: Matrix,
}

#[derive(Serialize)]
struct ClassMetrics {
    name: String,
    images: usize,
    recall: Option<f64>,
    precision: Option<f64>,
    f1: Option<f64>,
}

/// A row for each class, in their order; a column for what it was taken for.
#[derive(Serialize)]
struct Matrix {
    columns: Vec<String>,
    counts: Vec<Vec<usize>>,
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "accuracy {} ({} of {} images), macro F1 {}\n",
            shown(self.accuracy),
            self.correct,
            self.images,
            shown(self.macro_f1)
        )?;
        // Predicted classes are numbered, as their names would not fit beside each other.
        let numbers = self
            .classes
            .iter()
            .enumerate()
            .map(|(at, _)| at.to_string());
        let other = self.confusion.columns.get(self.classes.len()).cloned();
        let titles = ["", "<class", "images", "recall", "F1"].map(str::to_string);
        let mut table = Table::new(titles.into_iter().chain(numbers).chain(other));
        for (at, (class, counts)) in self.classes.iter().zip(&self.confusion.counts).enumerate() {
            let figures = [
                at.to_string(),
                class.name.clone(),
                class.images.to_string(),
                shown(class.recall),
                shown(class.f1),
            ];
            // Zeros as points, so that the eye finds the rest.
            let counts = counts.iter().map(|&count| match count {
                0 => ".".to_string(),
                count => count.to_string(),
            });
            table.row(figures.into_iter().chain(counts));
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pairs: &[(usize, Option<usize>)]) -> Metrics {
        let mut confusion = Confusion::new(&["a".to_string(), "b".to_string()]);
        pairs
            .iter()
            .for_each(|&(actual, predicted)| confusion.add(actual, predicted));
        confusion.metrics()
    }

    #[test]
    fn macro_f1_is_the_mean_over_classes() {
        // a: 2 of 3 right, 1 b taken for it: F1 = 4/(4+1+1); b: 1 of 2 right, 1 a taken for it: F1 = 2/(2+1+1).
        let metrics = seen(&[
            (0, Some(0)),
            (0, Some(0)),
            (0, Some(1)),
            (1, Some(1)),
            (1, Some(0)),
        ]);
        assert_eq!((metrics.correct, metrics.images), (3, 5));
        let expected = (4.0 / 6.0 + 2.0 / 4.0) / 2.0;
        assert!((metrics.macro_f1.unwrap() - expected).abs() < 1e-12);
        assert_eq!(metrics.confusion.columns, ["a", "b"]);
        assert_eq!(metrics.confusion.counts, [[2, 1], [1, 1]]);
    }

    #[test]
    fn predictions_outside_the_classes_have_a_column_of_their_own() {
        let metrics = seen(&[(0, None), (1, Some(1))]);
        assert_eq!(metrics.confusion.columns, ["a", "b", OTHER]);
        assert_eq!(metrics.confusion.counts, [[0, 0, 1], [0, 1, 0]]);
        // Class a was never predicted: no precision, and an F1 of 0.
        assert_eq!(metrics.classes[0].precision, None);
        assert_eq!(metrics.classes[0].f1, Some(0.0));
    }
}
