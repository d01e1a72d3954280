//! As much of Rust's grammar as is needed to say which paths a file names: comments, texts and test code do not
//! count; groups, `self`, `super`, renamed and inline modules do.

/// A path that a file names, made absolute.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Line, from 1.
    pub line: usize,
    /// `crate` or the name of another crate, then what follows.
    pub segments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// The paths that `source`, a file of the module `module`, names outside its tests.
pub fn paths(source: &str, module: &[String]) -> Vec<Named> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    let mut scopes: Vec<Option<&str>> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => scopes.push(opens_module(&tokens, at)),
            "}" => {
                scopes.pop();
            }
            _ => {}
        }
        let in_use = token.text == "use";
        let start = if in_use { at + 1 } else { at };
        if in_use || begins_path(&tokens, at) {
            let mut trees = Vec::new();
            let end = tree(&tokens, start, &[], &mut trees);
            let inner = scopes.iter().flatten().map(|s| (*s).to_owned());
            let here: Vec<String> = module.iter().cloned().chain(inner).collect();
            found.extend(trees.iter().filter_map(|(line, path)| {
                absolute(path, &here).map(|segments| Named { line: *line, segments })
            }));
            at = end.max(at + 1);
        } else {
            at += 1;
        }
    }
    found
}

/// The modules that `source` declares in files of their own or in braces.
pub fn modules(source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    tokens
        .windows(2)
        .filter(|w| w[0].text == "mod" && is_ident(w[1].text))
        .map(|w| w[1].text.into())
        .collect()
}

fn opens_module<'a>(tokens: &[Token<'a>], brace: usize) -> Option<&'a str> {
    let name = tokens.get(brace.checked_sub(1)?)?.text;
    (tokens.get(brace.checked_sub(2)?)?.text == "mod").then_some(name)
}

fn begins_path(tokens: &[Token<'_>], at: usize) -> bool {
    let text = |i: Option<usize>| i.and_then(|i| tokens.get(i)).map_or("", |t| t.text);
    let before = text(at.checked_sub(1));
    let leads = before != "::" || !(is_ident(text(at.checked_sub(2))) || text(at.checked_sub(2)) == ">");
    is_ident(tokens[at].text) && text(at.checked_add(1)) == "::" && before != "." && leads
}

/// Reads a path or a tree of `use` at `at`; gives where it ends.
fn tree(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &[String],
    out: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|t| t.text != "}") {
                    let end = tree(tokens, at, &path, out);
                    at = end.max(at + 1);
                    if tokens.get(at).is_some_and(|t| t.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "*" if path.len() > prefix.len() || !prefix.is_empty() => {
                path.push("*".into());
                at += 1;
                break;
            }
            text if is_ident(text) => {
                path.push(text.into());
                at += 1;
                if tokens.get(at).is_none_or(|t| t.text != "::") {
                    break;
                }
            }
            _ => break,
        }
    }
    // A new name for it changes nothing.
    if tokens.get(at).is_some_and(|t| t.text == "as") {
        at += 2;
    }
    if path.len() > prefix.len() {
        out.push((line, path));
    }
    at
}

/// Resolves `crate`, `self` and `super`; `None` when the path goes above the root, which does not compile.
fn absolute(path: &[String], here: &[String]) -> Option<Vec<String>> {
    let mut out: Vec<String> = match path.first()?.as_str() {
        "crate" => vec!["crate".into()],
        "self" | "super" => std::iter::once("crate".into()).chain(here.iter().cloned()).collect(),
        other => vec![other.into()],
    };
    let rest = if path.first()? == "super" { path } else { &path[1..] };
    for segment in rest {
        match segment.as_str() {
            "self" => {}
            "super" if out.len() > 1 => {
                out.pop();
            }
            "super" => return None,
            other => out.push(other.into()),
        }
    }
    Some(out)
}

/// Leaves out items under `#[cfg(test)]` and its kin.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let inner = tokens.get(at + 1).is_some_and(|t| t.text == "!");
        let open = if inner { at + 2 } else { at + 1 };
        if token.text != "#" || tokens.get(open).is_none_or(|t| t.text != "[") {
            out.push(*token);
            at += 1;
            continue;
        }
        let end = closing(tokens, open);
        let attribute = &tokens[open + 1..end.min(tokens.len())];
        if !only_tests(attribute) {
            at = end + 1;
        } else if inner {
            break;
        } else {
            at = item_end(tokens, end + 1);
        }
    }
    out
}

fn only_tests(attribute: &[Token<'_>]) -> bool {
    let has = |word| attribute.iter().any(|t| t.text == word);
    attribute.first().is_some_and(|t| t.text == "cfg") && has("test") && !has("not")
}

/// Where the item that starts at `at` ends: after its block, its semicolon, or before what closes around it.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => return closing(tokens, at) + 1,
            ";" => return at + 1,
            "}" => return at,
            "(" | "[" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

/// The index of what closes the bracket at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn is_ident(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (skip, word) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '/' if rest.starts_with("/*") => (comment(rest), None),
            '"' => (quoted(rest), None),
            '\'' => (after_quote(rest), None),
            c if c.is_alphabetic() || c == '_' => word(rest),
            // With its suffix; a fraction's point is left over, which does no harm.
            c if c.is_ascii_digit() => (ident_len(rest), None),
            ':' if rest.starts_with("::") => (2, Some(&rest[..2])),
            c if c.is_whitespace() => (c.len_utf8(), None),
            c => (c.len_utf8(), Some(&rest[..c.len_utf8()])),
        };
        out.extend(word.map(|text| Token { text, line }));
        let (seen, left) = rest.split_at(skip);
        line += seen.matches('\n').count();
        rest = left;
    }
    out
}

fn ident_len(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// An identifier, or a text with a prefix such as `br#"…"#`; a raw identifier loses its mark.
fn word(text: &str) -> (usize, Option<&str>) {
    let len = ident_len(text);
    let after = &text[len..];
    match &text[..len] {
        "b" | "c" if after.starts_with('"') => (len + quoted(after), None),
        "b" if after.starts_with('\'') => (len + after_quote(after), None),
        "r" | "br" | "cr" => {
            let marks = after.len() - after.trim_start_matches('#').len();
            if after[marks..].starts_with('"') {
                let close = format!("\"{}", "#".repeat(marks));
                let body = &after[marks + 1..];
                let end = body.find(&close).map_or(body.len(), |i| i + close.len());
                (len + marks + 1 + end, None)
            } else if marks == 1 {
                let raw = &after[1..];
                (len + 1 + ident_len(raw), Some(&raw[..ident_len(raw)]))
            } else {
                (len, Some(&text[..len]))
            }
        }
        ident => (len, Some(ident)),
    }
}

/// Length of a block comment, nested ones included.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of a text in double quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal or a lifetime.
fn after_quote(text: &str) -> usize {
    let body = &text[1..];
    let Some(first) = body.chars().next() else { return 1 };
    if first == '\\' {
        // The escaped character itself may be a quote.
        let from = 2 + body.chars().nth(1).map_or(0, char::len_utf8);
        return text[from..].find('\'').map_or(text.len(), |i| from + i + 1);
    }
    if body[first.len_utf8()..].starts_with('\'') {
        return 1 + first.len_utf8() + 1;
    }
    1 + ident_len(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(source: &str, module: &str) -> Vec<String> {
        let module: Vec<String> = module.split("::").filter(|s| !s.is_empty()).map(Into::into).collect();
        paths(source, &module).into_iter().map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn groups_are_spread() {
        let source = "use crate::{Error, io::{self, Ctx}, model as m};\nuse {super::wire, std::fmt};";
        let expected = [
            "crate::Error",
            "crate::io",
            "crate::io::Ctx",
            "crate::model",
            "crate::whatsminer::wire",
            "std::fmt",
        ];
        assert_eq!(named(source, "whatsminer::map"), expected);
    }

    #[test]
    fn paths_in_code_count_with_their_line() {
        let source = "fn f(x: &dyn crate::io::Rng) {\n    let y = crate::codec::http::get::<u8>(x.y);\n}";
        let found = paths(source, &[]);
        let found: Vec<_> = found.iter().map(|p| (p.line, p.segments.join("::"))).collect();
        assert_eq!(found, [(1, "crate::io::Rng".into()), (2, "crate::codec::http::get".into())]);
        assert_eq!(named("macro_rules! m { () => { $crate::codec::x() } }", ""), ["crate::codec::x"]);
        assert_eq!(named("let x = ::headframe_core::model::A;", ""), ["headframe_core::model::A"]);
    }

    #[test]
    fn super_reaches_as_far_as_the_modules_do() {
        assert_eq!(named("use super::super::rack::Rack;", "codec::http"), ["crate::rack::Rack"]);
        assert_eq!(named("mod a { use super::super::rack; }", "codec"), ["crate::rack"]);
        assert_eq!(named("use super::*;", "codec"), ["crate::*"]);
        assert_eq!(named("pub(super) fn f() {} pub(crate) struct S;", "codec"), Vec::<String>::new());
    }

    #[test]
    fn comments_and_texts_do_not_count() {
        let source = r####"
            /// See [`Thing`](crate::driver::Thing).
            //! use crate::a;
            /* use crate::b; /* crate::c::d */ crate::e::f */
            const A: &str = "use crate::g; \" crate::h::i";
            const B: &str = r#"crate::j::k " crate::l::m"#;
            const C: (char, char, u8) = ('"', '\'', b'"');
            fn f<'a>(x: &'a crate::n::O) {}
        "####;
        assert_eq!(named(source, ""), ["crate::n::O"]);
    }

    #[test]
    fn test_code_does_not_count() {
        let source = "
            #[cfg(test)] use crate::testkit::{A, B};
            #[cfg(any(test, feature = \"testkit\"))] #[allow(x)] fn f(a: [u8; 3]) { crate::a::b() }
            #[cfg(not(test))] use crate::kept;
            #[cfg(test)] mod tests { use super::*; fn g() { crate::c::d() } }
            use crate::after;
        ";
        assert_eq!(named(source, ""), ["crate::kept", "crate::after"]);
        assert_eq!(named("#![cfg(test)]\nuse crate::a;", ""), Vec::<String>::new());
    }

    #[test]
    fn modules_are_listed() {
        let source = "pub mod codec; mod id; #[cfg(test)] mod tests;\n// mod no;\npub use id::ThingId;";
        assert_eq!(modules(source), ["codec", "id"]);
    }
}
