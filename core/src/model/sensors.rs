use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::units::{serialize_number, shortest};

/// Sensors of a board that nearly every model has; more take room of their own.
const USUAL: usize = 4;

/// Temperatures of a board's sensors as reported, °C, in the order of the report. Single precision is far finer than
/// any sensor.
#[derive(Clone, PartialEq, Default)]
pub struct Sensors(SmallVec<[f32; USUAL]>);

impl Sensors {
    /// The temperatures.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

impl FromIterator<f64> for Sensors {
    #[allow(clippy::cast_possible_truncation, reason = "no sensor has seven digits")]
    fn from_iter<I: IntoIterator<Item = f64>>(temperatures: I) -> Self {
        Self(temperatures.into_iter().map(|t| t as f32).collect())
    }
}

impl fmt::Debug for Sensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Sensors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// As JavaScript writes numbers: 45, not 45.0.
        struct Plain(f64);
        impl Serialize for Plain {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_number(&self.0, serializer)
            }
        }
        serializer.collect_seq(self.0.iter().map(|t| Plain(shortest(*t))))
    }
}

impl<'de> Deserialize<'de> for Sensors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<f64>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_keep_their_digits() {
        let sensors: Sensors = [45.0, 65.3, 0.0, -12.25, 71.99].into_iter().collect();
        let json = serde_json::to_string(&sensors).unwrap();
        assert_eq!(json, "[45,65.3,0,-12.25,71.99]");
        assert_eq!(serde_json::from_str::<Sensors>(&json).unwrap(), sensors);
    }

    #[test]
    fn the_usual_board_takes_no_room_of_its_own() {
        assert_eq!(size_of::<Sensors>(), 24);
        assert!(!Sensors::from_iter([1.0; USUAL]).0.spilled());
    }
}
