use serde_json::Value;

use super::{
    super::{Cmp, Filter, Of, Path, Seen, Semantics},
    place,
};

/// Tests of what was looked up; conditions share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tests(Vec<(usize, Cmp)>);

impl Tests {
    /// Whether each holds, in `out`.
    pub fn hold(&self, seen: &[Seen<'_>], out: &mut Vec<bool>) {
        let holds = |(look, cmp): &(usize, Cmp)| {
            cmp.holds(seen.get(*look).copied().unwrap_or(Seen::Absent), Semantics::Corrected)
        };
        out.clear();
        out.extend(self.0.iter().map(holds));
    }
}

/// A filter whose tests were made already.
#[derive(Debug, Clone)]
pub(super) enum Cond {
    All(Vec<Self>),
    Any(Vec<Self>),
    /// By its place among the tests.
    Test(usize),
}

impl Cond {
    /// The condition and its text, which is the same for the same condition in every release.
    pub fn of(filter: &Filter, looks: &mut Vec<(Of, Path)>, tests: &mut Tests) -> (String, Self) {
        let mut each = |list: &[Filter], sign: &str| {
            let (texts, conds): (Vec<String>, Vec<Self>) =
                list.iter().map(|filter| Self::of(filter, looks, tests)).unzip();
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
                let test = (place(looks, (*of, path.clone())), cmp.clone());
                (text, Self::Test(place(&mut tests.0, test)))
            }
        }
    }

    /// Whether it holds where these tests do.
    pub fn holds(&self, tests: &[bool]) -> bool {
        match self {
            Self::All(each) => each.iter().all(|cond| cond.holds(tests)),
            Self::Any(each) => each.iter().any(|cond| cond.holds(tests)),
            Self::Test(at) => tests.get(*at).copied().unwrap_or(false),
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
