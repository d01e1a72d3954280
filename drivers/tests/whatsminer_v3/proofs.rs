//! The copied vectors are the reference's.

use std::path::Path;

use serde_json::Value;

#[test]
fn the_copied_vectors_are_the_references() {
    let Some(shared) = std::env::var_os("HEADFRAME_SHARED") else { return };
    let maps = std::fs::read(Path::new(&shared).join("reference/miners-maps.json")).unwrap();
    let maps: Value = serde_json::from_slice(&maps).unwrap();
    let ours: Value = serde_json::from_str(include_str!("../fixtures/whatsminer/v3_vectors.json")).unwrap();
    assert_eq!(ours, maps["crypto_vectors"]["whatsminer_v3"]);
}
