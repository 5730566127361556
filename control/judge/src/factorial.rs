//! The one special function that is needed.

/// The logarithm of `n (n - 1) … (n - k + 1)`, for `k` up to `n`.
pub(crate) fn ln_falling(n: u64, k: u64) -> f64 {
    // The few factors of a short product are summed: a difference of two large logarithms would be less exact.
    if k <= 32 {
        return (0..k).map(|taken| ((n - taken) as f64).ln()).sum();
    }
    ln_factorial(n) - ln_factorial(n - k)
}

/// Stirling's series from 16 on, where its fourth term is below 1e-12.
fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    let n = n as f64;
    let square = n * n;
    let tail = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * square)) / square) / n;
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_products_are_the_sum_of_their_logarithms() {
        for (n, k) in [(33, 33), (40, 35), (5000, 4990), (1 << 16, 20_000)] {
            let sum: f64 = (0..k).map(|taken| ((n - taken) as f64).ln()).sum();
            assert!((ln_falling(n, k) - sum).abs() < 1e-9 * sum, "{n} {k}");
        }
        assert!(ln_falling(7, 0).abs() < f64::EPSILON);
    }
}
