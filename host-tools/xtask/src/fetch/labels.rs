//! The names of ImageNet's 1,000 classes.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::wheel::Wheel;

const SYNSETS: &str = "timm/data/_info/imagenet_synsets.txt";
const LEMMAS: &str = "timm/data/_info/imagenet_synset_to_lemma.txt";

/// One line per class: the first lemma of its synset.
pub fn make(wheel: &mut Wheel) -> Result<Vec<u8>> {
    let synsets = String::from_utf8(wheel.read(SYNSETS)?)?;
    let lemmas = String::from_utf8(wheel.read(LEMMAS)?)?;
    Ok(join(&synsets, &lemmas)?.into_bytes())
}

fn join(synsets: &str, lemmas: &str) -> Result<String> {
    let lemmas: HashMap<&str, &str> = lemmas
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let mut labels = String::new();
    for synset in synsets.lines() {
        let lemma = lemmas
            .get(synset)
            .with_context(|| format!("{LEMMAS} does not name {synset}"))?;
        let first = lemma.split(',').next().unwrap_or(lemma).trim();
        if first.is_empty() {
            bail!("{LEMMAS} has no word for {synset}");
        }
        labels += first;
        labels.push('\n');
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_first_lemma_of_its_synset() {
        let lemmas = "n1\ttench, Tinca tinca\nn2\tgoldfish\n";
        assert_eq!(
            join("n2\nn1\n", lemmas).expect("both named"),
            "goldfish\ntench\n"
        );
    }

    #[test]
    fn a_synset_without_a_name_is_refused() {
        let error = join("n3\n", "n1\ttench\n").expect_err("n3 has no name");
        assert!(error.to_string().contains("n3"), "{error}");
    }
}
