//! From values to places on a picture.

/// A range of values, and how it is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    /// Evenly from 0 to `high` or a little more.
    pub(super) fn linear(high: f64) -> Self {
        Self {
            low: 0.0,
            high: high.max(1e-9),
            logarithmic: false,
        }
    }

    /// From one power of ten to another, around these positive values.
    pub(super) fn decades(low: f64, high: f64) -> Self {
        let low = 10f64.powf(low.max(1e-9).log10().floor());
        let high = 10f64.powf(high.max(1e-9).log10().ceil());
        Self {
            low,
            high: high.max(low * 10.0),
            logarithmic: true,
        }
    }

    /// Where a value is, from 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// Values worth a line: powers of ten, or up to eight round ones.
    pub(super) fn ticks(self) -> Vec<f64> {
        if self.logarithmic {
            let mut ticks = Vec::new();
            let mut tick = self.low;
            while tick <= self.high * 1.001 {
                ticks.push(tick);
                tick *= 10.0;
            }
            return ticks;
        }
        let step = round_step(self.high / 8.0);
        let count = (self.high / step + 1e-6).floor() as u32;
        (0..=count).map(|tick| f64::from(tick) * step).collect()
    }
}

/// The next 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let found = steps.into_iter().find(|step| *step >= least * 0.999);
    found.unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::linear(23.0).ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Scale::linear(1.0).ticks().len(), 6);
        assert_eq!(Scale::decades(0.3, 42.0).ticks(), [0.1, 1.0, 10.0, 100.0]);
    }

    #[test]
    fn values_are_laid_out_evenly_or_by_powers() {
        assert_eq!(Scale::linear(10.0).place(5.0), 0.5);
        let decades = Scale::decades(1.0, 100.0);
        assert!((decades.place(10.0) - 0.5).abs() < 1e-9);
        assert_eq!(decades.place(0.0), 0.0);
        assert_eq!(decades.place(1e9), 1.0);
    }
}
