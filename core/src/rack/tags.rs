//! Tags: those that people give, and those that are made from type, id, code and place.

use std::collections::BTreeSet;

use super::facts::Facts;
use crate::{Error, Result, model::Text};

const MOST_TAGS: usize = 256;
const MOST_CHARS: usize = 256;
/// What begins like this is made, and never kept from a request.
const MADE: [&str; 5] = ["t-", "id-", "code-", "pos-", "container-"];

/// What tags are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct From<'a> {
    pub thing_type: &'a str,
    /// Tags that the rack gives to all its things.
    pub rack: &'a [String],
    pub id: &'a str,
    pub code: &'a str,
    pub info: &'a Facts,
}

/// Refuses tags that are empty, too long, too many or not printable.
pub(super) fn check(tags: &[String]) -> Result<()> {
    let bad = |tag: &String| {
        tag.is_empty() || tag.chars().count() > MOST_CHARS || tag.chars().any(char::is_control)
    };
    if tags.len() <= MOST_TAGS && !tags.iter().any(bad) {
        return Ok(());
    }
    let why = "there are at most 256 tags, each of 1 to 256 characters without control characters";
    Err(Error::invalid("thing.tags", "tags", why).code_as("ERR_THING_TAGS_INVALID"))
}

fn made(tag: &str) -> bool {
    MADE.iter().any(|prefix| tag.starts_with(prefix))
}

/// The tags that people gave, of all a thing has.
pub(super) fn given(all: &[Text], rack: &[String]) -> Vec<Text> {
    all.iter().filter(|tag| !made(tag) && !rack.iter().any(|other| *tag == other)).cloned().collect()
}

/// The tags of a type: `a-b-c`, `a-b`, `a`.
fn types(thing_type: &str) -> impl Iterator<Item = String> {
    std::iter::successors(Some(thing_type), |prefix| Some(prefix.rsplit_once('-')?.0))
        .map(|prefix| format!("t-{prefix}"))
}

/// All tags of a thing: those that are made, and of `given` those that do not look made; in MiningOS's order, each
/// once.
pub(super) fn all(from: From<'_>, given: &[Text]) -> Vec<Text> {
    let types = types(from.thing_type).map(Text::from);
    let place = ["pos", "container"].into_iter().filter_map(|name| {
        let value = from.info.text(name)?;
        Some(format!("{name}-{value}").into())
    });
    let people = from.rack.iter().map(Text::from).chain(given.iter().cloned()).filter(|tag| !made(tag));
    let own = [format!("id-{}", from.id).into(), format!("code-{}", from.code).into()];
    let mut seen = BTreeSet::new();
    let mut tags: Vec<Text> = types.chain(people).chain(own).chain(place).collect();
    tags.retain(|tag| seen.insert(tag.clone()));
    tags.shrink_to_fit();
    tags
}

/// What a thing is, as far as MiningOS's tags tell it.
#[derive(Debug, Clone, Copy)]
pub struct MosTags<'a> {
    /// Its type.
    pub thing_type: &'a str,
    /// Tags that the rack gives to all its things.
    pub rack: &'a [String],
    /// Tags that were asked for, and those that it has already.
    pub given: &'a [String],
    /// Its id.
    pub id: &'a str,
    /// Its code.
    pub code: &'a str,
    /// `info.pos`; none where it is empty.
    pub pos: Option<&'a str>,
    /// `info.container`; none where it is empty.
    pub container: Option<&'a str>,
}

impl MosTags<'_> {
    /// The tags as MiningOS makes them: every tag with `pos-` or `container-` anywhere in it is lost but those that are
    /// made of the place, and with them the type tags of containers.
    pub fn all(self) -> Vec<String> {
        let people = self.rack.iter().chain(self.given).cloned();
        let own = [format!("id-{}", self.id), format!("code-{}", self.code)];
        let kept = types(self.thing_type).chain(people).chain(own);
        let kept = kept.filter(|tag| !tag.contains("pos-") && !tag.contains("container-"));
        let place = [("pos", self.pos), ("container", self.container)];
        let place = place.into_iter().filter_map(|(name, value)| Some(format!("{name}-{}", value?)));
        let mut seen = BTreeSet::new();
        kept.chain(place).filter(|tag| seen.insert(tag.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn strings(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|t| (*t).to_owned()).collect()
    }

    fn made_for(info: &Value, given: &[&str]) -> Vec<Text> {
        let rack = strings(&["antspace"]);
        let given: Vec<Text> = given.iter().map(|tag| (*tag).into()).collect();
        let from = From {
            thing_type: "container-as-hk3",
            rack: &rack,
            id: "c1",
            code: "AS-HK3-0001",
            info: &serde_json::from_value(info.clone()).unwrap(),
        };
        all(from, &given)
    }

    #[test]
    fn type_tags_of_containers_and_tags_of_people_stay() {
        let given = ["repos-1", "site-a", "x-container-y", "site-a", "pos-old", "id-other"];
        let expected = [
            "t-container-as-hk3",
            "t-container-as",
            "t-container",
            "antspace",
            "repos-1",
            "site-a",
            "x-container-y",
            "id-c1",
            "code-AS-HK3-0001",
            "pos-1_2",
            "container-hall",
        ];
        let tags = made_for(&json!({"pos": "1_2", "container": "hall"}), &given);
        assert_eq!(tags, expected);
        assert_eq!(super::given(&tags, &strings(&["antspace"])), ["repos-1", "site-a", "x-container-y"]);
        assert!(!made_for(&json!({"pos": ""}), &[]).iter().any(|t| t.starts_with("pos-")));
    }

    #[test]
    fn unusable_tags_are_refused() {
        for bad in [vec![String::new()], vec!["a\nb".into()], vec!["x".repeat(257)], vec!["x".into(); 257]] {
            assert_eq!(check(&bad).unwrap_err().code(), "ERR_THING_TAGS_INVALID");
        }
        assert!(check(&strings(&["ä b"])).is_ok());
    }
}
