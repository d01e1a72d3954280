//! `v-eyes`: one person has one vote, however the name is spelt and under whatever other name the vote is cast; programs
//! have none.
//!
//! What is the same letter is written down here a second time, by hand: the check shares no table of Unicode with what it
//! judges.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use headframe_core::{
    action::{
        Claims, Kind, Person, RightsSource, StaticPrincipals, Voter,
        policy::{Profile, Tally, Terms, Verdict, Vote},
    },
    auth::Permissions,
    io::Timestamp,
};
use serde_json::{Value, json};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
};

pub const CHECK: Check = Check {
    name: "v-eyes",
    bug: "compare-text",
    ci: 400,
    long: 4_000,
    probes: &[
        "another spelling of a letter",
        "space around it",
        "marks that nobody sees",
        "a number",
        "another name",
        "an API key",
        "an agent",
        "a service",
        "only programs",
        "the creator's own vote",
        "nobody",
        "somebody who is nearly the same",
    ],
    run,
};

/// Names under which each person votes.
const ALIASES: usize = 200;
/// The most people of a case.
const PEOPLE: usize = 5;
/// One person in so many is a number.
const NUMBERS: usize = 4;

/// Spellings of one letter, or of a few.
const LETTERS: &[&[&str]] = &[
    &["a", "A", "ａ", "Ａ", "\u{1d41a}", "ª"],
    &["b", "B", "ｂ", "Ⓑ"],
    &["k", "K", "ｋ", "\u{212a}"],
    &["m", "M", "ｍ", "Ⅿ"],
    &["x", "X", "ⅹ", "Ｘ"],
    &["7", "７", "⑦", "⁷", "\u{1d7d5}"],
    &["@", "＠", "﹫"],
    &[".", "．"],
    &["-", "－"],
    &["å", "Å", "a\u{30a}", "A\u{30a}", "\u{212b}", "ａ\u{30a}"],
    &["é", "É", "e\u{301}", "E\u{301}", "Ｅ\u{301}"],
    &["ö", "Ö", "o\u{308}", "O\u{308}"],
    &["ệ", "Ệ", "e\u{323}\u{302}", "e\u{302}\u{323}", "ê\u{323}", "Ẹ\u{302}"],
    &["ß", "ẞ", "ss", "SS", "ſs", "Sſ"],
    &["ﬁ", "fi", "Fi", "FI", "ｆi"],
    &["ǆ", "Ǆ", "ǅ", "dž", "DZ\u{30c}"],
    &["σ", "Σ", "ς"],
    &["ж", "Ж"],
    &["ό", "Ό", "ο\u{301}", "\u{1f79}"],
    &["가", "\u{1100}\u{1161}"],
    &["が", "か\u{3099}"],
    &["ガ", "ｶﾞ", "カ\u{3099}"],
    &["ﷲ", "الله", "اﻟﻠﻪ"],
];

/// What stands around a name and does not belong to it. Line ends and tabs only right at its ends.
const SPACES: &[&str] = &[" ", "  ", "\u{a0}", "\u{2003}", "\u{3000}", "\u{2028}"];
const LINE_ENDS: &[&str] = &["\t", "\n", "\r\n", "\u{b}"];

/// Marks that nobody sees, those that turn the direction of writing among them.
const UNSEEN: &[&str] = &[
    "\u{200b}",
    "\u{200c}",
    "\u{200d}",
    "\u{200e}",
    "\u{200f}",
    "\u{202a}",
    "\u{202d}",
    "\u{202e}",
    "\u{202c}",
    "\u{2066}",
    "\u{2069}",
    "\u{61c}",
    "\u{ad}",
    "\u{34f}",
    "\u{2060}",
    "\u{2064}",
    "\u{feff}",
    "\u{fe0f}",
    "\u{180e}",
    "\u{e0041}",
    "\u{e0100}",
    "\u{115f}",
];

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    run.each(run.n(), |_, case| simulate(one(case)));
    Ok(())
}

/// How somebody may be called.
enum Name {
    Letters(Vec<&'static [&'static str]>),
    Number(u64),
}

/// Somebody, and the other names that lead to them.
struct Somebody {
    name: Name,
    others: Vec<(String, Kind)>,
}

async fn one(case: &mut Case) -> Result<(), String> {
    nobody(case)?;
    let people: Vec<Somebody> = (0..case.rng.usize(2..=PEOPLE)).map(|i| somebody(case, i)).collect();
    let site = Arc::new(StaticPrincipals::new());
    for one in &people {
        let person = read(&spell(case, &one.name))?;
        needed("a person", site.set(&person, Permissions::ALL))?;
        for (name, kind) in &one.others {
            needed("a name", site.name(&read(&json!(name))?, *kind, &person))?;
        }
    }
    let sources = [RightsSource::Claims, RightsSource::Current(site)];
    let own_vote = case.rng.bool();
    case.hit_if(!own_vote, "the creator's own vote");
    for source in sources {
        let resolves = matches!(source, RightsSource::Current(_));
        let (mut votes, mut expected) = (Vec::new(), 0);
        for (i, one) in people.iter().enumerate() {
            let (cast, counts) = cast(case, one, resolves)?;
            expected += u32::from(counts && (own_vote || i > 0));
            for name in cast {
                votes.push(needed("a vote", source.of(&name, &Claims::default()).await)?);
            }
        }
        case.rng.shuffle(&mut votes);
        let creator = read(&spell(case, &people[0].name))?;
        let creator = needed("the creator", source.of(&creator, &Claims::default()).await)?;
        judge(&creator.person, &votes, own_vote, expected)?;
    }
    Ok(())
}

/// Votes are counted by people, and decide as they should.
fn judge(creator: &Person, votes: &[Voter], own_vote: bool, expected: u32) -> Result<(), String> {
    let votes: Vec<Vote<'_>> =
        votes.iter().map(|v| Vote { person: &v.person, counts: v.counts, factors: &[] }).collect();
    let mut terms = Terms::new(Profile::Safe, Timestamp(i64::MAX));
    terms.own_vote = own_vote;
    for (needed, verdict) in [(expected, Verdict::Approved), (expected + 1, Verdict::Open)] {
        if needed == 0 {
            continue;
        }
        terms.votes_for = needed;
        let tally = Tally::of(&terms, creator, &votes, &[]);
        if (tally.votes_for, tally.verdict) != (expected, verdict) {
            return Err(format!(
                "{} votes count as {} instead of {expected}, which is {:?} where {needed} are needed",
                votes.len(),
                tally.votes_for,
                tally.verdict,
            ));
        }
    }
    let people: HashSet<&Person> = votes.iter().filter(|v| v.counts).map(|v| v.person).collect();
    let ordered: BTreeSet<&Person> = people.iter().copied().collect();
    if people.len() != ordered.len() {
        return Err("order and hash of people do not agree".into());
    }
    terms.votes_against = expected + 2;
    let denied = Tally::of(&terms, creator, &[], &votes).verdict == Verdict::Denied;
    // Whoever votes against it does so also as its creator: one more at most.
    if denied { Err(format!("{expected} people deny what {} have to", expected + 2)) } else { Ok(()) }
}

/// Somebody who differs from all others of the case in the last letters of the name.
fn somebody(case: &mut Case, index: usize) -> Somebody {
    let name = if index % NUMBERS == NUMBERS - 1 {
        case.hit("a number");
        Name::Number(case.rng.u64(1..1 << 53))
    } else {
        let mut letters: Vec<_> =
            (0..case.rng.usize(1..12)).map(|_| LETTERS[case.rng.usize(..LETTERS.len())]).collect();
        // No two letters of the table are spelt alike, so the run of the one between the others tells people apart.
        letters.push(LETTERS[4]);
        letters.extend((0..=index).map(|_| LETTERS[3]));
        letters.push(LETTERS[4]);
        Name::Letters(letters)
    };
    let others = [Kind::Alias, Kind::ApiKey, Kind::Agent, Kind::Service].into_iter();
    let others = others.enumerate().map(|(i, kind)| (format!("{index}-{i}-{:x}", case.rng.u32(..)), kind));
    Somebody { name, others: others.collect() }
}

/// The names under which somebody votes, and whether that is a vote of a person.
fn cast(case: &mut Case, one: &Somebody, resolves: bool) -> Result<(Vec<Person>, bool), String> {
    let only_programs = resolves && case.rng.usize(..8) == 0;
    case.hit_if(only_programs, "only programs");
    let (mut cast, mut counts) = (Vec::with_capacity(ALIASES), false);
    for _ in 0..ALIASES {
        let other = &one.others[case.rng.usize(..one.others.len())];
        let of_program = matches!(other.1, Kind::Agent | Kind::Service);
        let written = if resolves && (only_programs || case.rng.usize(..4) == 0) {
            if only_programs && !of_program {
                continue;
            }
            counts |= !of_program;
            case.hit(match other.1 {
                Kind::Alias => "another name",
                Kind::ApiKey => "an API key",
                Kind::Agent => "an agent",
                Kind::Service => "a service",
            });
            json!(around(case, &other.0.to_uppercase()))
        } else {
            counts = true;
            spell(case, &one.name)
        };
        let person = read(&written)?;
        kept(&person)?;
        near(case, &person)?;
        cast.push(person);
    }
    Ok((cast, counts))
}

/// A spelling of a name.
fn spell(case: &mut Case, name: &Name) -> Value {
    let text = match name {
        Name::Number(number) => match case.rng.usize(..4) {
            0 => return json!(number),
            1 if *number < 1 << 53 => {
                #[allow(clippy::cast_precision_loss, reason = "it is small enough")]
                return json!(*number as f64);
            }
            2 => number.to_string(),
            _ => {
                let wide = |digit: char| char::from_u32(u32::from(digit) + 0xfee0).unwrap_or(digit);
                number.to_string().chars().map(wide).collect()
            }
        },
        Name::Letters(letters) => {
            case.hit("another spelling of a letter");
            letters.iter().map(|spellings| spellings[case.rng.usize(..spellings.len())]).collect()
        }
    };
    json!(around(case, &text))
}

/// The name with marks that nobody sees in it and space around it.
fn around(case: &mut Case, name: &str) -> String {
    let mut text = String::new();
    let unseen = case.rng.usize(..3) == 0;
    case.hit_if(unseen, "marks that nobody sees");
    let mark = |rng: &mut fastrand::Rng| {
        if unseen && rng.usize(..4) == 0 { UNSEEN[rng.usize(..UNSEEN.len())] } else { "" }
    };
    for c in name.chars() {
        text.push_str(mark(&mut case.rng));
        text.push(c);
    }
    text.push_str(mark(&mut case.rng));
    if case.rng.bool() {
        case.hit("space around it");
        let (before, after) =
            (SPACES[case.rng.usize(..SPACES.len())], SPACES[case.rng.usize(..SPACES.len())]);
        text = format!("{before}{}{text}{after}", mark(&mut case.rng));
    }
    if case.rng.usize(..8) == 0 {
        text.push_str(LINE_ENDS[case.rng.usize(..LINE_ENDS.len())]);
    }
    text
}

fn read(name: &Value) -> Result<Person, String> {
    needed(&format!("the name {name}"), Person::from_json(name))
}

/// A name stays that of the same person through storage.
fn kept(person: &Person) -> Result<(), String> {
    let json = serde_json::to_value(person).map_err(|e| e.to_string())?;
    let again: Person =
        serde_json::from_value(json).map_err(|e| format!("{person:?} is not read again: {e}"))?;
    let same = again == *person && again.shown() == person.shown();
    if same { Ok(()) } else { Err(format!("{person:?} is {again:?} after it was kept")) }
}

/// What is nearly the name is somebody else.
fn near(case: &mut Case, person: &Person) -> Result<(), String> {
    if case.rng.usize(..16) > 0 {
        return Ok(());
    }
    case.hit("somebody who is nearly the same");
    let key = person.key();
    let middle = key.char_indices().nth(key.chars().count() / 2).map_or(0, |(at, _)| at);
    let (start, end) = key.split_at(middle);
    for other in [
        format!("{key}x"),
        format!("0{key}"),
        format!("{start}_{end}"),
        format!("х{key}"),
        format!("{key} 2"),
    ] {
        if read(&json!(other))? == *person {
            return Err(format!("{other:?} is taken for {person:?}"));
        }
    }
    Ok(())
}

/// What is nobody has no vote.
fn nobody(case: &mut Case) -> Result<(), String> {
    let space = SPACES[case.rng.usize(..SPACES.len())];
    let unseen = UNSEEN[case.rng.usize(..UNSEEN.len())];
    let control = char::from(case.rng.u8(..0x20));
    for name in [
        Value::Null,
        json!(case.rng.bool()),
        json!([]),
        json!(["u1"]),
        json!({"name": "u1"}),
        json!(0),
        json!(-case.rng.i64(1..)),
        json!(case.rng.f64()),
        json!(1.0e16 + 2.0),
        json!(""),
        json!(space),
        json!(unseen),
        json!(format!("{space}{unseen}{space}")),
        json!(format!("u{control}1")),
        json!("u".repeat(257)),
    ] {
        match Person::from_json(&name) {
            Err(e) if e.code() == "ERR_VOTER_INVALID" => {}
            Err(e) => return Err(format!("{name} is refused as {}", e.code())),
            Ok(person) => return Err(format!("{name} is taken for {person:?}")),
        }
    }
    case.hit("nobody");
    Ok(())
}
