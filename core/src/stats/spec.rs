//! Operations as data: what is counted, of which things, in which groups.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{filter::Filter, group::Group, refused, source::Path};
use crate::Result;

/// Operations of one spec.
const MOST_OPS: usize = 1_024;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `cnt`: how many things; looks at no value.
    Cnt,
    /// `group`: for each group the last value.
    Group,
    /// `group_sum`
    GroupSum,
    /// `group_avg`
    GroupAvg,
    /// `group_cnt`
    GroupCnt,
    /// `group_max`
    GroupMax,
    /// `group_multiple_stats`: for each group an object of named values.
    GroupMultipleStats,
    /// `alerts_group_cnt`: alerts by severity.
    AlertsGroupCnt,
    /// `alerts_aggr`: objects of numbers, added.
    AlertsAggr,
    /// `arr_concat`: lists, appended.
    ArrConcat,
    /// `obj_concat`: objects, joined; numbers of one name are added.
    ObjConcat,
    /// `nested_obj_concat`: objects of objects, the inner ones folded.
    NestedObjConcat,
    /// `array_obj_calc`: a list of objects, folded into one.
    ArrayObjCalc,
}

impl Kind {
    /// All kinds with their names.
    pub const ALL: [(&'static str, Self); 15] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("cnt", Self::Cnt),
        ("group", Self::Group),
        ("group_sum", Self::GroupSum),
        ("group_avg", Self::GroupAvg),
        ("group_cnt", Self::GroupCnt),
        ("group_max", Self::GroupMax),
        ("group_multiple_stats", Self::GroupMultipleStats),
        ("alerts_group_cnt", Self::AlertsGroupCnt),
        ("alerts_aggr", Self::AlertsAggr),
        ("arr_concat", Self::ArrConcat),
        ("obj_concat", Self::ObjConcat),
        ("nested_obj_concat", Self::NestedObjConcat),
        ("array_obj_calc", Self::ArrayObjCalc),
    ];

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID` for an unknown name.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, kind)| *kind).ok_or_else(|| refused(name, "no operation has this name"))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether it may stand inside of another operation.
    fn nests(self) -> bool {
        matches!(
            self,
            Self::Sum | Self::Avg | Self::Cnt | Self::ArrConcat | Self::ObjConcat | Self::AlertsAggr
        )
    }
}

/// An operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Op {
    /// What it does.
    pub kind: Kind,
    /// Which value it looks at.
    pub src: Option<Path>,
    /// Which things it counts; all when `None`.
    pub filter: Option<Filter>,
    /// By what it groups them.
    pub group: Option<Group>,
    /// The named values of `group_multiple_stats`.
    pub srcs: Vec<(Arc<str>, Path)>,
    /// The inner operations of `nested_obj_concat` and `array_obj_calc`.
    pub nested: Vec<Nested>,
    /// Gives one value for each thing, so it is computed only when somebody asks.
    pub on_demand: bool,
}

/// An operation on a member of inner objects.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Nested {
    /// What it does.
    pub kind: Kind,
    /// The member, which is also what the result is called.
    pub name: Arc<str>,
    /// The path to it.
    pub src: Path,
}

/// Filters and groups that operations refer to by name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Names<'v> {
    pub filters: Option<&'v Map<String, Value>>,
    pub groups: Option<&'v Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    op: String,
    src: Option<String>,
    filter: Option<Value>,
    group: Option<Value>,
    #[serde(default)]
    srcs: Vec<WireSrc>,
    #[serde(default)]
    nested_ops: Vec<WireNested>,
    #[serde(default)]
    obj_ops: Vec<WireNested>,
    #[serde(default, rename = "on_demand")]
    on_demand: bool,
}

#[derive(Deserialize)]
struct WireSrc {
    name: String,
    src: String,
}

#[derive(Deserialize)]
struct WireNested {
    op: String,
    src: String,
}

impl Op {
    /// Reads the written form, `{op, src, filter, group, srcs, nestedOps, objOps}`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID`.
    pub fn parse(value: &Value) -> Result<Self> {
        Self::named(value, Names::default())
    }

    /// An operation on a source, of all things and without groups.
    pub(super) fn of(kind: Kind, src: Option<Path>) -> Self {
        Self { kind, src, filter: None, group: None, srcs: Vec::new(), nested: Vec::new(), on_demand: false }
    }

    pub(super) fn named(value: &Value, names: Names<'_>) -> Result<Self> {
        let wire = Wire::deserialize(value).map_err(|e| refused("op", "no operation").caused_by(e))?;
        let nested = wire.nested_ops.into_iter().chain(wire.obj_ops);
        Ok(Self {
            kind: Kind::parse(&wire.op)?,
            src: wire.src.as_deref().map(Path::parse).transpose()?,
            filter: found(names.filters, wire.filter)?.map(|v| Filter::parse(&v)).transpose()?,
            group: found(names.groups, wire.group)?.map(|v| Group::parse(&v)).transpose()?,
            srcs: wire.srcs.into_iter().map(WireSrc::read).collect::<Result<_>>()?,
            nested: nested.map(WireNested::read).collect::<Result<_>>()?,
            on_demand: wire.on_demand,
        })
    }
}

impl WireSrc {
    fn read(self) -> Result<(Arc<str>, Path)> {
        Ok((self.name.into(), Path::parse(&self.src)?))
    }
}

impl WireNested {
    fn read(self) -> Result<Nested> {
        let kind = Kind::parse(&self.op)?;
        if !kind.nests() {
            return Err(refused(&self.op, "this operation cannot stand inside of another"));
        }
        Ok(Nested { kind, src: Path::parse(&self.src)?, name: self.src.into() })
    }
}

/// What a filter or group is, where only its name is written.
fn found(named: Option<&Map<String, Value>>, written: Option<Value>) -> Result<Option<Value>> {
    match written {
        Some(Value::String(name)) => {
            let known = named.and_then(|names| names.get(&name)).cloned();
            known.map(Some).ok_or_else(|| refused(&name, "no filter or group has this name"))
        }
        other => Ok(other),
    }
}

/// Operations, each with the name of its result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spec {
    ops: Vec<(Arc<str>, Op)>,
}

impl Spec {
    /// Reads the written form: an object of names and operations.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID` for an unknown operation, and whatever else
    /// cannot be understood; the context names the statistic.
    pub fn parse(ops: &Value) -> Result<Self> {
        let ops = ops.as_object().ok_or_else(|| refused("ops", "operations are an object"))?;
        Self::named(ops, Names::default())
    }

    pub(super) fn named(ops: &Map<String, Value>, names: Names<'_>) -> Result<Self> {
        if ops.len() > MOST_OPS {
            return Err(refused("ops", "more than 1,024 operations"));
        }
        let op = |(name, op): (&String, &Value)| {
            let op = Op::named(op, names).map_err(|e| e.with("statistic", name))?;
            Ok((name.as_str().into(), op))
        };
        Ok(Self::of(ops.iter().map(op).collect::<Result<Vec<_>>>()?))
    }

    pub(super) fn of(ops: impl IntoIterator<Item = (Arc<str>, Op)>) -> Self {
        let mut ops: Vec<(Arc<str>, Op)> = ops.into_iter().collect();
        ops.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { ops }
    }

    /// The names and operations, ordered by name.
    pub fn ops(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Op)> {
        self.ops.iter().map(|(name, op)| (name, op))
    }

    /// The operation that gives this result.
    pub fn op(&self, name: &str) -> Option<&Op> {
        let at = self.ops.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.ops[at].1)
    }

    /// The operations that `wanted` names, or says yes to.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str, &Op) -> bool) -> Self {
        Self { ops: self.ops.iter().filter(|(name, op)| wanted(name, op)).cloned().collect() }
    }

    /// What every window computes: all that does not wait until somebody asks.
    #[must_use]
    pub fn standing(&self) -> Self {
        self.only(|_, op| !op.on_demand)
    }
}

impl<'de> Deserialize<'de> for Spec {
    /// As [`Spec::parse`].
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::parse(&value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_is_read_from_its_written_form() {
        let text = r#"{"b": {"op": "cnt"}, "a": {"op": "group_sum", "src": "v", "group": {"ext": "type"}}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        assert_eq!(
            spec.ops().map(|(name, op)| (&**name, op.kind)).collect::<Vec<_>>(),
            [("a", Kind::GroupSum), ("b", Kind::Cnt)]
        );
        assert_eq!(spec.op("a").unwrap().src.as_ref().unwrap().text(), "v");
        assert!(spec.op("c").is_none());
        assert_eq!(spec.only(|name, _| name == "b").ops().len(), 1);
    }

    #[test]
    fn what_is_no_spec_is_refused_with_the_name_of_the_statistic() {
        for bad in [
            json!({"op": "median", "src": "v"}),
            json!({"op": "sum", "src": ""}),
            json!({"op": "sum", "filter": "mining"}),
            json!({"op": "array_obj_calc", "src": "v", "objOps": [{"op": "group_sum", "src": "a"}]}),
            json!({"src": "v"}),
            json!(7),
        ] {
            let error = Spec::parse(&json!({"s": bad})).unwrap_err();
            assert_eq!(error.code(), "ERR_STATS_SPEC_INVALID", "{bad}");
            assert_eq!(error.fact("statistic"), Some("s"), "{bad}");
        }
        assert!(Spec::parse(&json!([])).is_err());
        let many: Map<String, Value> =
            (0..=MOST_OPS).map(|i| (i.to_string(), json!({"op": "cnt"}))).collect();
        assert!(Spec::parse(&Value::Object(many)).is_err());
    }

    #[test]
    fn names_of_kinds() {
        for (name, kind) in Kind::ALL {
            assert_eq!(Kind::parse(name).unwrap(), kind);
            assert_eq!(kind.name(), name);
        }
    }
}
