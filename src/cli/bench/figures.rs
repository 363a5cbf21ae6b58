//! Small sums for reports.

/// Parts of a run that have a rate of their own.
pub(super) const PARTS: usize = 10;

/// A count as a figure to divide by; above 2⁵³ it is rounded.
pub(super) fn figure(count: u64) -> f64 {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).map_or(0.0, f64::from);
    half(count >> 32) * 4_294_967_296.0 + half(count)
}

/// `count` for each of `of`; `None` for each of nothing.
pub(super) fn per(count: u64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| figure(count) / of)
}

/// The figure in the middle; `None` of nothing.
pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.len().saturating_sub(1) / 2, figures.len() / 2);
    Some((figures.get(low)? + figures.get(high)?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0]), Some(5.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn counts_become_figures() {
        for (count, expected) in [(0, 0.0), (7, 7.0), (1 << 40, 1_099_511_627_776.0)] {
            assert!((figure(count) - expected).abs() < f64::EPSILON);
        }
    }
}
