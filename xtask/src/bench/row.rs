//! One measured figure and the table of all.
use serde::Serialize;

/// A figure, what it is compared with, and what it may be.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    /// The same work without what is measured, in the same run; none for absolute budgets.
    pub(super) baseline: Option<f64>,
    /// What the baseline is.
    pub(super) against: String,
    pub(super) ratio: Option<f64>,
    pub(super) budget: Option<Budget>,
    /// Every single round, for whoever doubts the median.
    pub(super) rounds: Vec<f64>,
}

/// What a figure may be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Budget {
    RatioAtLeast(f64),
    ValueAtMost(f64),
}

impl Row {
    /// False also when the figure could not be had: NaN is within nothing.
    pub(super) fn within_budget(&self) -> bool {
        match self.budget {
            None => true,
            Some(Budget::RatioAtLeast(least)) => self.ratio.is_some_and(|ratio| ratio >= least),
            Some(Budget::ValueAtMost(most)) => self.value <= most,
        }
    }
}

/// The middle one; of an even number, the lower of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Prints the table.
pub(super) fn print(rows: &[Row]) {
    println!("\n{:<46} {:>16} {:>30} {:>7} {:>14}", "what", "measured", "against", "ratio", "budget");
    for row in rows {
        let measured = format!("{} {}", figure(row.value), row.unit);
        let against = row
            .baseline
            .map_or_else(|| row.against.clone(), |value| format!("{} {}", figure(value), row.against));
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
        let budget = match row.budget {
            None => "-".to_owned(),
            Some(Budget::RatioAtLeast(least)) => format!("ratio >= {least:.2}"),
            Some(Budget::ValueAtMost(most)) => format!("<= {}", figure(most)),
        };
        let mark = if row.within_budget() { "" } else { "  OVER" };
        println!("{:<46} {measured:>16} {against:>30} {ratio:>7} {budget:>14}{mark}", row.what);
    }
}

fn figure(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_is_a_measured_value() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }
}
