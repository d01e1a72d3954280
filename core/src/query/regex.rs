use regex::{Regex, RegexBuilder};

use super::limits;

/// Compiles a JavaScript pattern for the linear-time engine, or says why it cannot be.
pub(super) fn compile(pattern: &str, options: &str) -> Result<Regex, String> {
    if pattern.chars().nth(limits::REGEX_CHARS).is_some() {
        return Err(format!("the pattern has more than {} characters", limits::REGEX_CHARS));
    }
    let flags = Flags::parse(options)?;
    let translated = Translator::new(pattern, flags).run()?;
    RegexBuilder::new(&translated)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .crlf(flags.multi_line)
        .size_limit(limits::REGEX_BYTES)
        .dfa_size_limit(limits::REGEX_BYTES)
        .nest_limit(4 * limits::DEPTH as u32)
        .build()
        .map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled".into(),
            _ => "the pattern cannot be compiled".into(),
        })
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    unicode: bool,
    sticky: bool,
}

impl Flags {
    fn parse(options: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for (at, c) in options.char_indices() {
            if options[..at].contains(c) {
                return Err(format!("flag '{c}' is given twice"));
            }
            match c {
                'i' => flags.ignore_case = true,
                'm' => flags.multi_line = true,
                's' => flags.dot_all = true,
                'u' => flags.unicode = true,
                'y' => flags.sticky = true,
                // Asks for all matches; one is enough to say yes.
                'g' => {}
                _ => return Err(format!("flag '{}' is not one of i m s g u y", c.escape_default())),
            }
        }
        Ok(flags)
    }
}

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
/// What JavaScript calls white space, line ends included.
const SPACE: &str =
    r"\t\n\x0B\x0C\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";
const NOT_LINE_END: &str = r"[^\n\r\x{2028}\x{2029}]";
const ANYTHING: &str = r"[\x{0}-\x{10FFFF}]";
const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// What an escape stands for.
enum Escape {
    Char(char),
    Class { members: &'static str, negated: bool },
    Assertion(&'static str),
}

/// Writes a pattern in the engine's syntax. The two agree on the main operators, but not on what may be escaped, what
/// a class may hold, and what `.`, `\d`, `\w`, `\s` and `\b` mean; so every character is read by JavaScript's rules and
/// written without ambiguity.
struct Translator {
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    out: String,
}

impl Translator {
    fn new(pattern: &str, flags: Flags) -> Self {
        Self { chars: pattern.chars().collect(), at: 0, flags, out: String::new() }
    }

    fn run(mut self) -> Result<String, String> {
        self.out.push_str(if self.flags.sticky { r"\A(?:" } else { "(?:" });
        let mut open = 0_usize;
        let mut repeatable = false;
        while let Some(c) = self.next() {
            repeatable = match c {
                '(' => {
                    self.group()?;
                    open += 1;
                    if open > limits::DEPTH {
                        return Err(format!("groups are nested deeper than {}", limits::DEPTH));
                    }
                    false
                }
                ')' => {
                    open = open.checked_sub(1).ok_or("a group is closed that was not opened")?;
                    self.out.push(')');
                    true
                }
                '^' | '$' | '|' => {
                    self.out.push(c);
                    false
                }
                '*' | '+' | '?' | '{' => self.repetition(c, repeatable)?,
                _ => self.atom(c)?,
            };
        }
        if open > 0 {
            return Err("a group is not closed".into());
        }
        self.out.push(')');
        Ok(self.out)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    fn literal(&mut self, c: char) {
        push_char(&mut self.out, c);
    }

    /// What follows `(`. Nothing is captured, since nothing is asked of a match.
    fn group(&mut self) -> Result<(), String> {
        if self.eat("?=") || self.eat("?!") {
            return Err("look-ahead is not supported".into());
        }
        if self.eat("?<=") || self.eat("?<!") {
            return Err("look-behind is not supported".into());
        }
        if self.eat("?<") {
            let start = self.at;
            while self.peek().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                self.at += 1;
            }
            if self.at == start || !self.eat(">") {
                return Err("a group has no valid name".into());
            }
        } else if !self.eat("?:") && self.peek() == Some('?') {
            return Err("'(?' is followed by something unknown".into());
        }
        self.out.push_str("(?:");
        Ok(())
    }

    /// A repetition; `{` without one is a plain character unless the flag `u` is set.
    fn repetition(&mut self, c: char, repeatable: bool) -> Result<bool, String> {
        let text = match c {
            '{' => match self.counts()? {
                Some(text) => text,
                None if self.flags.unicode => return Err("'{' must be escaped".into()),
                None => {
                    self.literal('{');
                    return Ok(true);
                }
            },
            other => other.to_string(),
        };
        if !repeatable {
            return Err("there is nothing to repeat".into());
        }
        self.out.push_str(&text);
        if self.eat("?") {
            self.out.push('?');
        }
        Ok(false)
    }

    /// `n}`, `n,}` or `n,m}`, after the brace.
    fn counts(&mut self) -> Result<Option<String>, String> {
        let start = self.at;
        let least = self.digits();
        let comma = self.eat(",");
        let most = if comma { self.digits() } else { None };
        if least.is_none() || !self.eat("}") {
            self.at = start;
            return Ok(None);
        }
        let number = |digits: &Option<String>| -> Result<Option<u32>, String> {
            let Some(text) = digits else { return Ok(None) };
            let fits = text.parse().ok().filter(|n| *n <= limits::REGEX_REPEAT);
            fits.map(Some).ok_or(format!("a repetition counts higher than {}", limits::REGEX_REPEAT))
        };
        let (least, most) = (number(&least)?.unwrap_or(0), number(&most)?);
        Ok(Some(match (comma, most) {
            (false, _) => format!("{{{least}}}"),
            (true, None) => format!("{{{least},}}"),
            (true, Some(most)) if most < least => return Err("a repetition counts backwards".into()),
            (true, Some(most)) => format!("{{{least},{most}}}"),
        }))
    }

    fn digits(&mut self) -> Option<String> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then(|| self.chars[start..self.at].iter().collect())
    }

    /// One character, class or escape; says whether it can be repeated.
    fn atom(&mut self, c: char) -> Result<bool, String> {
        match c {
            '.' => self.out.push_str(if self.flags.dot_all { ANYTHING } else { NOT_LINE_END }),
            '[' => self.class()?,
            '\\' => match self.escape(false)? {
                Escape::Char(c) => self.literal(c),
                Escape::Class { members, negated } => push_class(&mut self.out, members, negated),
                Escape::Assertion(text) => {
                    self.out.push_str(text);
                    return Ok(false);
                }
            },
            ']' | '}' if self.flags.unicode => return Err(format!("'{c}' must be escaped")),
            other => self.literal(other),
        }
        Ok(true)
    }

    fn class(&mut self) -> Result<(), String> {
        let negated = self.eat("^");
        let mut members = String::new();
        loop {
            let first = match self.next().ok_or("a class is not closed")? {
                ']' => break,
                c => self.class_member(c)?,
            };
            let ranged = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if !ranged {
                push_member(&mut members, &first);
                continue;
            }
            self.at += 1;
            let end = self.next().ok_or("a class is not closed")?;
            match (first, self.class_member(end)?) {
                (Escape::Char(low), Escape::Char(high)) if low <= high => {
                    push_char(&mut members, low);
                    members.push('-');
                    push_char(&mut members, high);
                }
                (Escape::Char(_), Escape::Char(_)) => return Err("a range in a class runs backwards".into()),
                _ if self.flags.unicode => return Err("a range in a class has a class as its end".into()),
                (low, high) => {
                    push_member(&mut members, &low);
                    push_char(&mut members, '-');
                    push_member(&mut members, &high);
                }
            }
        }
        match (members.is_empty(), negated) {
            (true, true) => self.out.push_str(ANYTHING),
            (true, false) => self.out.push_str(NOTHING),
            (false, _) => push_class(&mut self.out, &members, negated),
        }
        Ok(())
    }

    fn class_member(&mut self, c: char) -> Result<Escape, String> {
        if c == '\\' { self.escape(true) } else { Ok(Escape::Char(c)) }
    }

    /// What follows a backslash.
    fn escape(&mut self, in_class: bool) -> Result<Escape, String> {
        let c = self.next().ok_or("the pattern ends in a backslash")?;
        let class = |members, negated| Ok(Escape::Class { members, negated });
        match c {
            'd' | 'D' => return class(DIGIT, c == 'D'),
            'w' | 'W' => return class(WORD, c == 'W'),
            's' | 'S' => return class(SPACE, c == 'S'),
            'b' if !in_class => return Ok(Escape::Assertion(r"(?-u:\b)")),
            'B' if !in_class => return Ok(Escape::Assertion(r"(?-u:\B)")),
            '1'..='9' | 'k' => return Err("back-references are not supported".into()),
            'p' | 'P' => return Err("classes of Unicode properties are not supported".into()),
            _ => {}
        }
        let plain = match c {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'v' => '\u{B}',
            'f' => '\u{C}',
            'r' => '\r',
            '0' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                return Err("octal escapes are not supported".into());
            }
            '0' => '\0',
            'x' => match self.hex(2) {
                Some(code) => char::from_u32(code).unwrap_or('x'),
                None => self.itself('x')?,
            },
            'u' => self.unicode_escape()?,
            'c' => match self.peek().filter(char::is_ascii_alphabetic) {
                Some(letter) => {
                    self.at += 1;
                    char::from(letter as u8 & 0x1F)
                }
                None => return Err("'\\c' needs a letter".into()),
            },
            other if other.is_alphanumeric() => self.itself(other)?,
            other => other,
        };
        Ok(Escape::Char(plain))
    }

    /// A letter that is escaped for no reason stands for itself, unless the flag `u` is set.
    fn itself(&self, c: char) -> Result<char, String> {
        if self.flags.unicode { Err(format!("'\\{c}' is not an escape")) } else { Ok(c) }
    }

    fn hex(&mut self, count: usize) -> Option<u32> {
        let digits = self.chars.get(self.at..self.at + count)?;
        let value = digits.iter().try_fold(0, |n, c| Some(n * 16 + c.to_digit(16)?))?;
        self.at += count;
        Some(value)
    }

    fn unicode_escape(&mut self) -> Result<char, String> {
        if self.peek() == Some('{') {
            if !self.flags.unicode {
                return Err("'\\u{…}' needs the flag u".into());
            }
            let end = self.chars[self.at..].iter().position(|c| *c == '}').ok_or("'\\u{' is not closed")?;
            let digits: String = self.chars[self.at + 1..self.at + end].iter().collect();
            self.at += end + 1;
            let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
            return code.ok_or("'\\u{…}' holds no character".into());
        }
        let Some(first) = self.hex(4) else { return self.itself('u') };
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        // Two escapes together may stand for one character beyond the first 65,536.
        let second = if self.eat("\\u") { self.hex(4) } else { None };
        let pair = second.and_then(|low| char::decode_utf16([first as u16, low as u16]).next()?.ok());
        pair.ok_or("'\\u' holds half a character".into())
    }
}

fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }
}

fn push_member(out: &mut String, member: &Escape) {
    match member {
        Escape::Char(c) => push_char(out, *c),
        Escape::Class { members, negated: false } => out.push_str(members),
        Escape::Class { members, negated: true } => push_class(out, members, true),
        Escape::Assertion(_) => {}
    }
}

fn push_class(out: &mut String, members: &str, negated: bool) {
    out.push_str(if negated { "[^" } else { "[" });
    out.push_str(members);
    out.push(']');
}
