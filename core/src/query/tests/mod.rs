//! Tests of the query language.

mod filters;
mod hidden;
mod naive;
mod pages;
mod patterns;
mod projections;
mod random;
mod refused;
mod rows;
mod sorts;

use serde_json::Value;

use super::{Filter, Query, QueryPage};

fn matches(query: &Value, doc: &Value) -> bool {
    Filter::parse(query).unwrap_or_else(|e| panic!("{query}: {e}")).matches(doc)
}

/// Documents with ids, as a rack holds them.
fn docs(list: &[(&str, Value)]) -> Vec<(String, Value)> {
    list.iter().map(|(id, doc)| ((*id).to_owned(), doc.clone())).collect()
}

fn run(query: &Query, docs: &[(String, Value)]) -> QueryPage {
    query.run(docs.iter().map(|(id, doc)| (id.as_str(), doc))).unwrap()
}

fn ids(page: &QueryPage) -> Vec<&str> {
    page.items.iter().map(|i| i.id.as_str()).collect()
}
