//! When int8 is not the network any more.

use std::fmt;

use super::Blame;
use crate::convert::Quantized;

/// Decibels of the output's signal over its noise, below which a network is ruined; good ones have 10 to 25.
pub const MIN_OUTPUT_SQNR_DB: f64 = 8.0;

/// The share of pictures on which int8 and float have to put the same class first.
pub const MIN_AGREEMENT: f64 = 0.5;

/// A network that int8 has ruined: what is below its bound, and the op that most of it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruin {
    /// Decibels of the output's signal over its noise.
    pub output_sqnr_db: f64,
    /// The share of pictures on which both networks put the same class first, where that was counted.
    pub agreement: Option<f64>,
    /// Name and kind of the op to blame.
    pub op: (String, &'static str),
    /// Its part of the noise at the output, of 1.
    pub share: f64,
}

impl Ruin {
    /// Whether the bounds are broken.
    pub fn is(quantized: &Quantized) -> bool {
        let agreement = quantized.agreement.as_ref();
        output_sqnr_db(quantized) < MIN_OUTPUT_SQNR_DB
            || agreement.is_some_and(|comparison| comparison.agreement() < MIN_AGREEMENT)
    }

    /// The whole finding, if the bounds are broken.
    pub fn find(quantized: &Quantized, blame: &Blame) -> Option<Self> {
        if !Self::is(quantized) {
            return None;
        }
        let shares = blame.shares();
        let worst = quantized.graph.nodes.iter().zip(shares);
        let (node, share) = worst.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some(Ruin {
            output_sqnr_db: output_sqnr_db(quantized),
            agreement: quantized
                .agreement
                .as_ref()
                .map(|comparison| comparison.agreement()),
            op: (node.name.clone(), node.op.kind()),
            share,
        })
    }
}

/// Decibels of the output's signal over its noise on calibration pictures.
pub(super) fn output_sqnr_db(quantized: &Quantized) -> f64 {
    let output = quantized.noise.ops.last();
    output.map_or(f64::NAN, |output| output.decibels())
}

impl fmt::Display for Ruin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "int8 ruins this network: output SQNR {:.1} dB",
            self.output_sqnr_db
        )?;
        if self.output_sqnr_db < MIN_OUTPUT_SQNR_DB {
            write!(f, ", below {MIN_OUTPUT_SQNR_DB} dB")?;
        }
        if let Some(agreement) = self.agreement {
            write!(f, ", agreement with float {agreement:.3}")?;
            if agreement < MIN_AGREEMENT {
                write!(f, ", below {MIN_AGREEMENT}")?;
            }
        }
        let (name, kind) = &self.op;
        write!(
            f,
            "; {:.0} % of the noise at the output comes from op `{name}` ({kind})",
            100.0 * self.share
        )
    }
}

impl std::error::Error for Ruin {}
