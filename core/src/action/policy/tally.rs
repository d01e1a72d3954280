use std::collections::BTreeMap;

use super::terms::Terms;
use crate::action::Person;

/// One vote, as a tally needs it.
#[derive(Debug, Clone, Copy)]
pub struct Vote<'a> {
    /// The person whose vote it is: the owner of the name under which it was cast.
    pub person: &'a Person,
    /// Whether it counts: not under the name of an agent or a service, and not once the right to it is lost.
    pub counts: bool,
    /// Which of the terms' factors the person can stand for, in their order; what is absent it cannot.
    pub factors: &'a [bool],
}

/// Where votes lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// To nothing yet.
    Open,
    /// To execution.
    Approved,
    /// To the end.
    Denied,
}

/// The votes of an action, counted by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// People who approve and count.
    pub votes_for: u32,
    /// People who are against it and count.
    pub votes_against: u32,
    /// People that each factor still lacks, in their order.
    pub lacking: Vec<u32>,
    /// Where that leads.
    pub verdict: Verdict,
}

impl Tally {
    /// Counts votes. That the creator approves counts only where the terms say so; that somebody is against always does.
    /// Whoever stands on both sides is against.
    pub fn of(terms: &Terms, creator: &Person, votes_for: &[Vote<'_>], votes_against: &[Vote<'_>]) -> Self {
        let against = people(votes_against.iter(), terms);
        let approving = votes_for.iter().filter(|vote| terms.own_vote || vote.person != creator);
        let mut approve = people(approving, terms);
        approve.retain(|person, _| !against.contains_key(person));

        let lacking = lacking(terms, &approve);
        let (votes_for, votes_against) = (number(approve.len()), number(against.len()));
        let verdict = if votes_against >= terms.votes_against.max(1) {
            Verdict::Denied
        } else if votes_for >= terms.votes_for.max(1) && lacking.iter().all(|lack| *lack == 0) {
            Verdict::Approved
        } else {
            Verdict::Open
        };
        Self { votes_for, votes_against, lacking, verdict }
    }
}

/// Those whose vote counts, each once, with the factors that any of their votes can stand for.
fn people<'a>(votes: impl Iterator<Item = &'a Vote<'a>>, terms: &Terms) -> BTreeMap<&'a Person, Vec<bool>> {
    let mut people: BTreeMap<&Person, Vec<bool>> = BTreeMap::new();
    for vote in votes.filter(|vote| vote.counts) {
        let can = people.entry(vote.person).or_insert_with(|| vec![false; terms.factors.len()]);
        for (all, one) in can.iter_mut().zip(vote.factors) {
            *all |= one;
        }
    }
    people
}

/// How many people each factor lacks when each person stands for one of them, and as many places as possible are taken.
fn lacking(terms: &Terms, approve: &BTreeMap<&Person, Vec<bool>>) -> Vec<u32> {
    let can: Vec<&[bool]> = approve.values().map(Vec::as_slice).collect();
    let mut places = Places { can: &can, stands_for: vec![None; can.len()] };
    let fill = |(factor, wanted): (usize, u32)| {
        // More places than people cannot be taken.
        let tries = wanted.min(number(can.len()));
        let taken = (0..tries).take_while(|_| places.take(factor, &mut vec![false; can.len()])).count();
        wanted - number(taken)
    };
    terms.factors.iter().map(|factor| factor.votes).enumerate().map(fill).collect()
}

/// Who stands for which factor.
struct Places<'a> {
    can: &'a [&'a [bool]],
    stands_for: Vec<Option<usize>>,
}

impl Places<'_> {
    /// Finds one more person for a factor; others move to another factor if they can.
    fn take(&mut self, factor: usize, asked: &mut [bool]) -> bool {
        for person in 0..self.can.len() {
            let able = self.can.get(person).and_then(|can| can.get(factor)).is_some_and(|can| *can);
            let Some(was_asked) = asked.get_mut(person).filter(|asked| able && !**asked) else { continue };
            *was_asked = true;
            let busy = self.stands_for.get(person).copied().flatten();
            if busy == Some(factor) {
                continue;
            }
            if busy.is_none_or(|other| self.take(other, asked))
                && let Some(place) = self.stands_for.get_mut(person)
            {
                *place = Some(factor);
                return true;
            }
        }
        false
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
