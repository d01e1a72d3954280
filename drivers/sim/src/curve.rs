/// A piece of the hashrate's curve: from `start` to `level` in `ramp` seconds, then level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub from: f64,
    pub ramp: f64,
    pub start: f64,
    pub level: f64,
}

impl Segment {
    pub fn rate(&self, t: f64) -> f64 {
        if self.ramp <= 0.0 {
            return self.level;
        }
        self.start + (self.level - self.start) * ((t - self.from) / self.ramp).clamp(0.0, 1.0)
    }

    /// Millions of hashes from the beginning until `t`.
    pub fn hashes(&self, t: f64) -> f64 {
        let dt = (t - self.from).max(0.0);
        let ramped = dt.min(self.ramp.max(0.0));
        let at_end = if self.ramp > 0.0 { self.rate(self.from + ramped) } else { self.level };
        ramped * (self.start + at_end) / 2.0 + (dt - ramped) * self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_and_what_it_hashes() {
        let segment = Segment { from: 10.0, ramp: 20.0, start: 0.0, level: 8.0 };
        assert_eq!([9.0, 10.0, 20.0, 30.0, 99.0].map(|t| segment.rate(t)), [0.0, 0.0, 4.0, 8.0, 8.0]);
        assert_eq!([9.0, 20.0, 30.0, 40.0].map(|t| segment.hashes(t)), [0.0, 20.0, 80.0, 160.0]);
        let step = Segment { from: 0.0, ramp: 0.0, start: 5.0, level: 1.0 };
        assert_eq!((step.rate(0.0), step.hashes(3.0)), (1.0, 3.0));
    }
}
