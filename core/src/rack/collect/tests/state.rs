//! The state alone: what cannot be forced to happen with real tasks.

use super::{
    super::{
        slot::{Flight, Landed, Target},
        state::State,
    },
    *,
};
use crate::io::Mono;

fn at(ms: u64) -> Mono {
    Mono::from_origin(Duration::from_millis(ms))
}

fn flights(state: &mut State, now: Mono) -> Vec<Flight> {
    std::iter::from_fn(|| state.next_flight(now)).collect()
}

fn good(now: Mono) -> Landed {
    Landed::Done { result: Ok(MinerSnapshot::default().into()), at: now, ts: START }
}

fn one_in_flight() -> (State, Flight) {
    let mut state = State::new(CollectorOptions::default().resolve().unwrap(), at(0));
    state.add(conf("m"), at(0)).unwrap();
    let mut flights = flights(&mut state, at(0));
    assert_eq!(flights.len(), 1);
    (state, flights.remove(0))
}

#[test]
fn a_poll_that_does_not_end_when_told_keeps_the_next_one_back() {
    for again in [false, true] {
        let (mut state, flight) = one_in_flight();
        if again {
            state.remove(&id("m")).unwrap();
            state.add(conf("m"), at(5)).unwrap();
        } else {
            state.update(conf("m"), at(5)).unwrap();
        }
        for minute in 0..10 {
            assert!(flights(&mut state, at(minute * 60_000)).is_empty(), "again: {again}");
        }
        assert_eq!(state.counts(at(600_000)).in_flight, 1);
        let late = good(at(600_000));
        assert!(state.landed(flight.place, late, at(600_000), || 0).is_none(), "nobody's result");
        assert_eq!(flights(&mut state, at(661_000)).len(), 1);
    }
}

#[test]
fn a_poll_past_its_deadline_holds_its_lane_until_it_has_ended() {
    let (mut state, flight) = one_in_flight();
    assert!(flights(&mut state, at(500_000)).is_empty());
    assert_eq!(state.counts(at(500_000)).in_flight, 1);
    let reading = state.landed(flight.place, Landed::Ended { ts: START }, at(500_000), || 0).unwrap();
    assert_eq!(reading.outcome.as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!((state.counts(at(500_000)).in_flight, state.counts(at(500_000)).slow), (0, 1));
    assert!(flights(&mut state, at(559_000)).is_empty());
    assert_eq!(flights(&mut state, at(560_020)).len(), 1);
}

#[test]
fn a_removed_place_is_given_again_only_when_its_poll_has_ended() {
    let (mut state, flight) = one_in_flight();
    state.remove(&id("m")).unwrap();
    state.add(conf("n"), at(5)).unwrap();
    let next = flights(&mut state, at(61_000));
    assert_eq!(next.len(), 1);
    assert!(matches!(&next[0].target, Target::Closed(Ok(conf)) if *conf == self::conf("n")));
    assert_ne!(next[0].place, flight.place);
    assert!(state.landed(flight.place, Landed::Ended { ts: START }, at(61_000), || 0).is_none());
    state.add(conf("o"), at(61_000)).unwrap();
    let next = flights(&mut state, at(63_000));
    assert_eq!((next.len(), next[0].place), (1, flight.place));
    assert_eq!(state.ids(), [id("n"), id("o")]);
}
