use serde_json::Value;

use super::{
    super::{Cmp, Filter, Of, Path, Seen, Semantics},
    place,
};

/// A filter whose paths are looked up already.
#[derive(Debug, Clone)]
pub(super) enum Cond {
    All(Vec<Self>),
    Any(Vec<Self>),
    Test(usize, Cmp),
}

impl Cond {
    /// The condition and its text, which is the same for the same condition in every release.
    pub fn of(filter: &Filter, looks: &mut Vec<(Of, Path)>) -> (String, Self) {
        let mut each = |list: &[Filter], sign: &str| {
            let (texts, conds): (Vec<String>, Vec<Self>) =
                list.iter().map(|filter| Self::of(filter, looks)).unzip();
            (format!("({})", texts.join(sign)), conds)
        };
        match filter {
            Filter::All(list) => {
                let (text, conds) = each(list, "&");
                (text, Self::All(conds))
            }
            Filter::Any(list) => {
                let (text, conds) = each(list, "|");
                (text, Self::Any(conds))
            }
            Filter::Test(of, path, cmp) => {
                let from = if *of == Of::Ext { "ext:" } else { "" };
                let text = format!("{from}{}{}", path.text(), sign(cmp));
                (text, Self::Test(place(looks, (*of, path.clone())), cmp.clone()))
            }
        }
    }

    pub fn holds(&self, seen: &[Seen<'_>]) -> bool {
        match self {
            Self::All(each) => each.iter().all(|cond| cond.holds(seen)),
            Self::Any(each) => each.iter().any(|cond| cond.holds(seen)),
            Self::Test(look, cmp) => {
                cmp.holds(seen.get(*look).copied().unwrap_or(Seen::Absent), Semantics::Corrected)
            }
        }
    }
}

fn sign(cmp: &Cmp) -> String {
    let json = |value: &Value| value.to_string();
    match cmp {
        Cmp::Eq(value) => format!("={}", json(value)),
        Cmp::Ne(value) => format!("!={}", json(value)),
        Cmp::In(list) => format!(" in {}", json(&list.clone().into())),
        Cmp::Gt(least) => format!(">{least}"),
        Cmp::Truthy => String::new(),
        Cmp::Falsy => "!".into(),
        Cmp::NotNull => " not null".into(),
        Cmp::Regex(pattern) => format!("~{}", pattern.as_str()),
    }
}
