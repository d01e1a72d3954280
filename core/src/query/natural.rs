//! Natural order of texts as bytes: comparing two encodings compares the texts.

/// Follows a text; below everything a part can begin with.
const END: u8 = 0x01;
/// Ends the letters of a part, and each of its further levels; below all weights.
const LEVEL: u8 = 0x00;
/// Ends the letters of a part that has accents or capitals to compare too; below all weights of letters.
const MORE: u8 = 0x01;
const CONTROL: u8 = 0x02;
const SIGN: u8 = 0x05;
const OTHER_SIGN: u8 = 0x38;
const DIGITS: u8 = 0x40;
const LETTER: u8 = 0x50;
const OTHER_LETTER: u8 = 0x70;

/// White space and signs of ASCII in the order in which locales have them.
const SIGNS: &[u8] = b"\t\n\x0b\x0c\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// The weights of ASCII; 0 for digits and control characters, which have none of one byte. A capital's is its letter's.
const WEIGHTS: [u8; 128] = {
    let mut weights = [0; 128];
    let mut at = 0;
    while at < SIGNS.len() {
        weights[SIGNS[at] as usize] = SIGN + at as u8;
        at += 1;
    }
    let mut letter = 0;
    while letter < 26 {
        weights[(b'a' + letter) as usize] = LETTER + letter;
        weights[(b'A' + letter) as usize] = LETTER + letter;
        letter += 1;
    }
    weights
};

/// The letters of Latin-1 that are written with accents, each with its base letter.
const ACCENTED: &[(&str, char)] = &[
    ("àáâãäå", 'a'),
    ("ç", 'c'),
    ("èéêë", 'e'),
    ("ìíîï", 'i'),
    ("ñ", 'n'),
    ("òóôõö", 'o'),
    ("ùúûü", 'u'),
    ("ýÿ", 'y'),
];

/// Appends the text's place in the order.
///
/// The text is split into runs of digits and runs of others. Digits compare as numbers of any length. Others compare
/// first by letter, then by accent, then lower before upper case. Signs come before digits, digits before letters.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let digits = first.is_ascii_digit();
        let end = rest.bytes().position(|b| b.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if digits {
            number(part, out)
        } else {
            letters(part, out)
        }
        rest = after;
    }
    out.push(END);
}

fn number(digits: &str, out: &mut Vec<u8>) {
    let digits = digits.trim_start_matches('0');
    out.push(DIGITS);
    // With its length in front, a longer number is a larger one.
    match u8::try_from(digits.len()).ok().filter(|n| *n < u8::MAX) {
        Some(short) => out.push(short),
        None => {
            out.push(u8::MAX);
            out.extend((digits.len() as u32).to_be_bytes());
        }
    }
    out.extend(digits.as_bytes());
}

fn letters(part: &str, out: &mut Vec<u8>) {
    let mut accents = false;
    let mut upper = false;
    for c in part.chars() {
        if c.is_ascii() {
            upper |= c.is_ascii_uppercase();
            weight(c, out);
            continue;
        }
        accents = true;
        upper |= c.is_uppercase();
        c.to_lowercase().for_each(|c| weight(c, out));
    }
    if !accents && !upper {
        out.push(LEVEL);
        return;
    }
    out.push(MORE);
    level(part, out, |c| accent(c.to_lowercase().next().unwrap_or(c)).map_or(1, |(rank, _)| rank));
    level(part, out, |c| if c.is_uppercase() { 2 } else { 1 });
}

/// One weight for each character, without the lowest ones at the end: as if they went on for ever.
fn level(part: &str, out: &mut Vec<u8>, weight: impl Fn(char) -> u8) {
    let start = out.len();
    out.extend(part.chars().map(weight));
    let kept = out[start..].iter().rposition(|w| *w > 1).map_or(0, |at| at + 1);
    out.truncate(start + kept);
    out.push(LEVEL);
}

fn weight(c: char, out: &mut Vec<u8>) {
    match c {
        '\0'..='\x7F' => match WEIGHTS[c as usize] {
            // A control character; never 0 or the end mark.
            0 => out.extend([CONTROL, 0x80 | c as u8]),
            weight => out.push(weight),
        },
        _ => match accent(c) {
            Some((_, base)) => out.push(LETTER + (base as u8 - b'a')),
            None => {
                out.push(if c.is_alphanumeric() { OTHER_LETTER } else { OTHER_SIGN });
                out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        },
    }
}

/// The accent's rank and the letter below it.
fn accent(c: char) -> Option<(u8, char)> {
    if c.is_ascii() {
        return None;
    }
    ACCENTED.iter().find_map(|(letters, base)| {
        let at = letters.chars().position(|l| l == c)?;
        Some((2 + at as u8, *base))
    })
}
