/// How many bytes of a reply an error may show.
const SHOWN: usize = 60;
/// How many of them stand before the place of the error.
const BEFORE: usize = 40;

/// What stands around `position` in a reply, for an error: at most 60 printable characters.
///
/// In JSON every string that is not a member's name shows as `***`, because it may be a pool's password. A
/// missing quote turns names and values around, so words outside strings are hidden too unless they are JSON.
pub(super) fn excerpt(text: &str, position: usize) -> String {
    let bytes = text.as_bytes();
    let json = matches!(text.trim_start().bytes().next(), Some(b'{' | b'[' | b'"' | b','));
    let (masked, at) = if json { mask(bytes, position) } else { (bytes.to_vec(), position) };
    let start = at.min(masked.len()).saturating_sub(BEFORE);
    let shown = &masked[start..masked.len().min(start + SHOWN)];
    shown.iter().map(|b| if matches!(b, b' '..=b'~') { char::from(*b) } else { '.' }).collect()
}

/// The masked text up to a little behind `position`, and where that is in it.
fn mask(bytes: &[u8], position: usize) -> (Vec<u8>, usize) {
    let (mut out, mut at, mut mapped, mut last) = (Vec::new(), 0, None, 0);
    while at < bytes.len() && mapped.is_none_or(|m| out.len() < m + SHOWN) {
        let from = at;
        let (hide, end) = token(bytes, at, last);
        if !bytes[from].is_ascii_whitespace() {
            last = bytes[end - 1];
        }
        if hide {
            out.extend_from_slice(b"***");
        } else {
            out.extend_from_slice(&bytes[from..end]);
        }
        at = end;
        if mapped.is_none() && at > position {
            mapped = Some(out.len());
        }
    }
    let mapped = mapped.unwrap_or(out.len());
    (out, mapped)
}

/// The end of the token at `at`, and whether it must be hidden; `before` is the byte before it, spaces aside.
fn token(bytes: &[u8], at: usize, before: u8) -> (bool, usize) {
    let first = bytes[at];
    if first == b'"' {
        let end = string_end(bytes, at + 1);
        let is_name = bytes[end..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':');
        return (!is_name, end);
    }
    let in_word =
        |b: &u8| !b.is_ascii_whitespace() && !matches!(b, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"');
    if !in_word(&first) {
        return (false, at + 1);
    }
    let end = at + bytes[at..].iter().take_while(|b| in_word(b)).count();
    let json = match &bytes[at..end] {
        b"true" | b"false" | b"null" | b"nan" | b"inf" => true,
        word => word.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')),
    };
    (!(json && matches!(before, b':' | b',' | b'[')), end)
}

/// Behind the quote that closes the string whose content begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_hidden_and_names_shown() {
        let text = r#"{"pools":[{"url":"stratum","pass":"Rack_07x","n":12,"up":tru}]}"#;
        assert_eq!(excerpt(text, 60), r#":[{"url":***,"pass":***,"n":12,"up":***}]}"#);
        assert_eq!(excerpt(r#"{"pass":"Rack"07x","user":"a"}"#, 14), r#"{"pass":*********************"#);
        assert_eq!(excerpt("no JSON\n\u{7}", 0), "no JSON..");
        assert_eq!(excerpt("", 5), "");
    }

    proptest! {
        #[test]
        fn is_short_and_printable(text in "[{\\[,]?.{0,120}", position in 0usize..200) {
            let shown = excerpt(&text, position);
            prop_assert!(shown.len() <= SHOWN && shown.bytes().all(|b| matches!(b, b' '..=b'~')));
        }
    }
}
