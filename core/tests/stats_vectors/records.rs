//! Vectors about records of things.

use headframe_core::rack::{Changed, MosTags};
use serde_json::Value;

use super::file::{class, plain, same};

#[test]
fn tags_as_miningos_makes_them() {
    for vector in class("tagVectors") {
        let texts = |name: &str| -> Vec<String> { serde_json::from_value(vector[name].clone()).unwrap() };
        let (rack, given) = (texts("typeTags"), texts("extra"));
        let tags = MosTags {
            thing_type: vector["type"].as_str().unwrap(),
            rack: &rack,
            given: &given,
            id: vector["id"].as_str().unwrap(),
            code: vector["code"].as_str().unwrap(),
            pos: vector["info"]["pos"].as_str(),
            container: vector["info"]["container"].as_str(),
        };
        assert_eq!(tags.all(), texts("expected"), "{vector}");
    }
}

#[test]
fn differences_of_facts() {
    let vectors: Vec<&Value> = class("utilVectors").iter().filter(|v| v["fn"] == "getJsonChanges").collect();
    assert_eq!(vectors.len(), 1);
    for vector in vectors {
        let side = |at: usize| vector["args"][at].as_object().unwrap();
        let changes = serde_json::to_value(Changed::between(side(0), side(1))).unwrap();
        same(&changes, &plain(&vector["expected"]), &vector["name"]);
    }
}
