//! By what an operation groups things.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Semantics,
    filter::of_named,
    js, refused,
    source::{Of, Path, Seen, Source},
};
use crate::Result;

/// The name of a thing's group.
///
/// Written `{ext: path}` or `{entry: path}` (the value there), `{containerRack: true}` (`<info.container>_<info.pos up to
/// its first _>`, the PDU rack), or `{template: "<path>-<path>", of, missing: "undefined"}`. A thing whose group has no
/// name or an empty one is in none; a template puts the word for what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// The value at a path.
    At(Of, Path),
    /// Container and PDU rack.
    ContainerRack(Box<Rack>),
    /// Texts and the values at paths.
    Template(Of, Box<[Piece]>, Box<str>),
}

/// Where container and position stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rack {
    container: Path,
    pos: Path,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// As it stands.
    Text(Box<str>),
    /// What stands at the path.
    At(Path),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    ext: Option<String>,
    entry: Option<String>,
    container_rack: Option<bool>,
    template: Option<String>,
    of: Option<String>,
    missing: Option<String>,
}

impl Group {
    /// Reads the written form.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID`.
    pub fn parse(value: &Value) -> Result<Self> {
        let wire = Wire::deserialize(value).map_err(|e| refused("group", "no group").caused_by(e))?;
        match wire {
            Wire { ext: Some(path), entry: None, container_rack: None, template: None, .. } => {
                Ok(Self::At(Of::Ext, Path::parse(&path)?))
            }
            Wire { ext: None, entry: Some(path), container_rack: None, template: None, .. } => {
                Ok(Self::At(Of::Entry, Path::parse(&path)?))
            }
            Wire { ext: None, entry: None, container_rack: Some(true), template: None, .. } => {
                let rack = Rack { container: Path::parse("info.container")?, pos: Path::parse("info.pos")? };
                Ok(Self::ContainerRack(Box::new(rack)))
            }
            Wire { ext: None, entry: None, container_rack: None, template: Some(text), of, missing } => {
                let missing = missing.unwrap_or_else(|| "undefined".into());
                Ok(Self::Template(of_named(of.as_deref())?, pieces(&text)?, missing.into()))
            }
            _ => Err(refused("group", "a group is one of ext, entry, containerRack, template")),
        }
    }

    /// The thing's group, `None` where it is in none.
    pub fn name<'s, S: Source + ?Sized>(&self, source: &'s S, semantics: Semantics) -> Option<Cow<'s, str>> {
        let part = |of: Of, path: &Path| part(source.look(of, path), semantics);
        match self {
            Self::At(of, path) => part(*of, path),
            Self::ContainerRack(rack) => {
                let either = |path| part(Of::Ext, path).or_else(|| part(Of::Entry, path));
                let (container, pos) = (either(&rack.container)?, either(&rack.pos)?);
                let first = pos.split_once('_').map_or(&*pos, |(first, _)| first);
                Some(format!("{container}_{first}").into())
            }
            Self::Template(of, pieces, missing) => {
                let mut name = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => name.push_str(text),
                        Piece::At(path) => match source.look(*of, path) {
                            Seen::Text(text) => name.push_str(text),
                            Seen::Absent => name.push_str(missing),
                            Seen::Null if semantics == Semantics::Corrected => name.push_str(missing),
                            other => name.push_str(&js::Js::from(other).text()),
                        },
                    }
                }
                Some(name.into())
            }
        }
    }

    /// All paths that it looks at.
    pub fn paths(&self) -> Vec<(Of, &Path)> {
        match self {
            Self::At(of, path) => vec![(*of, path)],
            Self::ContainerRack(rack) => {
                let both = |path| [(Of::Ext, path), (Of::Entry, path)];
                both(&rack.container).into_iter().chain(both(&rack.pos)).collect()
            }
            Self::Template(of, pieces, _) => {
                let paths = pieces.iter().filter_map(|piece| match piece {
                    Piece::At(path) => Some((*of, path)),
                    Piece::Text(_) => None,
                });
                paths.collect()
            }
        }
    }
}

/// A value as a name: texts and numbers; of others MiningOS makes a text, too.
fn part(seen: Seen<'_>, semantics: Semantics) -> Option<Cow<'_, str>> {
    match seen {
        Seen::Text(text) => Some(text.into()),
        Seen::Bool(_) | Seen::List(_) | Seen::Object(_) if semantics == Semantics::Corrected => None,
        other => Some(js::Js::from(other).text().into()),
    }
    .filter(|_| seen.truthy())
}

fn pieces(template: &str) -> Result<Box<[Piece]>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some((text, tail)) = rest.split_once('<') {
        let Some((path, tail)) = tail.split_once('>') else {
            return Err(refused(template, "a path in a template is written <path>"));
        };
        if !text.is_empty() {
            out.push(Piece::Text(text.into()));
        }
        out.push(Piece::At(Path::parse(path)?));
        rest = tail;
    }
    if !rest.is_empty() {
        out.push(Piece::Text(rest.into()));
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::source::Json, *};

    fn name(group: &Value, info: &Value, semantics: Semantics) -> Option<String> {
        let ext = json!({"info": info, "type": "miner-am-s21"});
        let source = Json { entry: &json!({"info": info}), ext: Some(&ext) };
        Group::parse(group).unwrap().name(&source, semantics).map(Cow::into_owned)
    }

    #[test]
    fn names() {
        let info = json!({"container": "group-1", "pos": "rack-2_3", "n": 5, "e": "", "b": true, "u": null});
        let ours = |group: &Value| name(group, &info, Semantics::Corrected);
        assert_eq!(ours(&json!({"ext": "type"})).as_deref(), Some("miner-am-s21"));
        assert_eq!(ours(&json!({"entry": "info.n"})).as_deref(), Some("5"));
        assert_eq!(ours(&json!({"containerRack": true})).as_deref(), Some("group-1_rack-2"));
        let template = json!({"template": "<info.container>-<info.u>-<info.x>", "of": "ext"});
        assert_eq!(ours(&template).as_deref(), Some("group-1-undefined-undefined"));
        let theirs = |group: &Value| name(group, &info, Semantics::MiningOs);
        assert_eq!(theirs(&template).as_deref(), Some("group-1-null-undefined"));
        assert_eq!(theirs(&json!({"ext": "info.b"})).as_deref(), Some("true"));
        for none in ["e", "u", "x", "b"] {
            assert_eq!(ours(&json!({"ext": format!("info.{none}")})), None, "{none}");
        }
        for part in [json!({"container": "c"}), json!({"pos": "1_2"}), json!({"container": "c", "pos": null})]
        {
            assert_eq!(name(&json!({"containerRack": true}), &part, Semantics::MiningOs), None);
        }
    }

    #[test]
    fn what_is_no_group_is_refused() {
        for bad in [
            json!({}),
            json!({"ext": "a", "entry": "b"}),
            json!({"containerRack": false}),
            json!({"template": "<a"}),
            json!({"template": "<>"}),
            json!({"by": "type"}),
        ] {
            assert_eq!(Group::parse(&bad).unwrap_err().code(), "ERR_STATS_SPEC_INVALID", "{bad}");
        }
    }
}
