use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

/// A password, key or token. `Debug`, `Display` and serialisation show `***`; only [`Secret::expose`] gives it.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the wire, never for a log, a listing or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_expose_shows_it() {
        let secret: Secret = serde_json::from_str("\"Rack_07x\"").unwrap();
        assert_eq!(
            format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap()),
            "*** *** \"***\""
        );
        assert_eq!(secret.expose(), "Rack_07x");
    }
}
