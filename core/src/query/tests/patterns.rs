use serde_json::json;

use super::{super::regex::compile, matches};

fn is_match(pattern: &str, flags: &str, text: &str) -> bool {
    compile(pattern, flags).unwrap_or_else(|why| panic!("{pattern}: {why}")).is_match(text)
}

#[test]
fn javascript_patterns_mean_what_they_do_there() {
    for (pattern, flags, text, wanted) in [
        ("", "", "", true),
        ("abc", "", "xabcx", true),
        ("^abc$", "", "abc\n", false),
        ("^b", "", "a\nb", false),
        ("^b", "m", "a\nb", true),
        ("^b", "m", "a\rb", true),
        ("a$", "m", "a\r\nb", true),
        ("a.b", "", "a\nb", false),
        ("a.b", "", "a\rb", false),
        ("a.b", "", "a\u{2028}b", false),
        ("a.b", "s", "a\nb", true),
        ("a.b", "", "aéb", true),
        ("ABC", "i", "xabc", true),
        ("É", "i", "é", true),
        ("b", "y", "ab", false),
        ("a|b", "y", "ba", true),
        ("b", "g", "ab", true),
        // Classes are of ASCII, white space is not.
        (r"^\d+$", "", "12", true),
        (r"\d", "", "٣", false),
        (r"\w", "", "é", false),
        (r"\W", "", "é", true),
        (r"\bb", "", "éb", true),
        (r"a\Bb", "", "ab", true),
        (r"\s", "", "\u{a0}", true),
        (r"\s", "", "\u{feff}", true),
        (r"\S", "", "\u{2003}", false),
        (r"^[\w-]+$", "", "a-b_1", true),
        (r"^[a-\d]+$", "", "a-1", true),
        (r"[^\D]", "", "a1", true),
        (r"[\S]", "", " ", false),
        (r"[\b]", "", "\u{8}", true),
        // What the engine would take for operators of its own.
        ("[[]", "", "[", true),
        ("[a&&b]", "", "&", true),
        ("^[+--]$", "", ",", true),
        ("[a~~b]", "", "~", true),
        ("[]", "", "a", false),
        ("[^]", "", "\n", true),
        ("[]a]", "", "a]", false),
        (r"\<a\>", "", "<a>", true),
        (r"\A", "", "A", true),
        (r"\z", "", "az", true),
        (r"\a", "", "a", true),
        (r"\/\-\#\&", "", "/-#&", true),
        ("a#b c", "", "a#b c", true),
        // Braces that count nothing stand for themselves.
        ("a{2}", "", "aa", true),
        ("^a{2,}$", "", "a", false),
        ("^a{1,2}?$", "", "aa", true),
        ("a{,2}", "", "a{,2}", true),
        ("a{", "", "a{", true),
        ("{}", "", "{}", true),
        ("a]b}", "", "a]b}", true),
        // Escapes of single characters.
        (r"\x41\u0042\t\n\v\f\r\0", "", "AB\t\n\u{b}\u{c}\r\0", true),
        (r"\xZZ", "", "xZZ", true),
        (r"\cA", "", "\u{1}", true),
        (r"\u{1F600}", "u", "😀", true),
        (r"\uD83D\uDE00", "", "😀", true),
        (r"[\u0041-\u0043]", "", "B", true),
        // Groups and repetitions.
        ("^(ab)+$", "", "abab", true),
        ("^(?:ab|c)*$", "", "abcc", true),
        ("^(?<name>a)b$", "", "ab", true),
        ("(?<a$1>x)", "", "x", true),
        ("^a+?b*?$", "", "aab", true),
        ("a||b", "", "", true),
        ("()", "", "", true),
    ] {
        assert_eq!(is_match(pattern, flags, text), wanted, "/{pattern}/{flags} on {text:?}");
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    for (pattern, flags, part) in [
        ("a(?=b)", "", "look-ahead"),
        ("a(?!b)", "", "look-ahead"),
        ("(?<=a)b", "", "look-behind"),
        ("(?<!a)b", "", "look-behind"),
        (r"(a)\1", "", "back-references"),
        (r"(?<n>a)\k<n>", "", "back-references"),
        (r"\p{L}", "u", "Unicode properties"),
        ("(?i)a", "", "unknown"),
        ("(?i:a)", "", "unknown"),
        ("(?P<n>a)", "", "unknown"),
        ("(?<>a)", "", "name"),
        ("(?<n", "", "name"),
        ("a", "x", "flag"),
        ("a", "d", "flag"),
        ("a", "ii", "twice"),
        ("*a", "", "nothing to repeat"),
        ("a**", "", "nothing to repeat"),
        ("a*+", "", "nothing to repeat"),
        ("a{2}{3}", "", "nothing to repeat"),
        ("^*", "", "nothing to repeat"),
        (r"\b+", "", "nothing to repeat"),
        ("(*)", "", "nothing to repeat"),
        ("a|*", "", "nothing to repeat"),
        ("a{2,1}", "", "backwards"),
        ("a{1001}", "", "higher"),
        ("a{99999999999}", "", "higher"),
        ("(a", "", "not closed"),
        ("a)", "", "not opened"),
        ("[a", "", "not closed"),
        ("[a-", "", "not closed"),
        ("[b-a]", "", "backwards"),
        ("[a-\\d]", "u", "class as its end"),
        ("a\\", "", "backslash"),
        (r"\01", "", "octal"),
        (r"\c1", "", "letter"),
        (r"\u{41}", "", "flag u"),
        (r"\u{FFFFFF}", "u", "no character"),
        (r"\u{41", "u", "not closed"),
        (r"\uD800", "", "half"),
        (r"\a", "u", "not an escape"),
        ("a{", "u", "escaped"),
        ("]", "u", "escaped"),
        ("(((((((((((((((((((((((((((((((((", "", "nested"),
        (r"(\w{1000}){1000}", "", "too large"),
    ] {
        let why = compile(pattern, flags).expect_err(pattern);
        assert!(why.contains(part), "/{pattern}/{flags}: {why}");
    }
    assert!(compile(&"a".repeat(1_000), "").is_ok());
    assert!(compile(&"é".repeat(1_001), "").is_err());
}

#[test]
fn patterns_that_explode_elsewhere_end_soon() {
    let text = "a".repeat(20_000) + "!";
    for pattern in [
        "(a+)+$",
        "^(a|a)*$",
        "(a*)*b",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(.*)(.*)(.*)(.*)(.*)x",
        "(a?){50}a{50}c",
    ] {
        assert!(!is_match(pattern, "", &text), "{pattern}");
    }
}

#[test]
fn only_texts_match() {
    let query = json!({"a": {"$regex": "1", "$options": "i"}});
    for (doc, wanted) in [
        (json!({"a": "x1"}), true),
        (json!({"a": 1}), false),
        (json!({"a": ["x", "1"]}), true),
        (json!({"a": [1]}), false),
        (json!({"a": null}), false),
        (json!({}), false),
        (json!({"a": {"b": "1"}}), false),
    ] {
        assert_eq!(matches(&query, &doc), wanted, "{doc}");
    }
}
