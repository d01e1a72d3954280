//! What writes leave behind: an address, a password, an account that was refused.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use headframe_core::{
    Error, ErrorKind, Result, Secret,
    driver::Identity,
    io::{Ctx, Mono},
};

const OP: &str = "antminer.write";
/// How long a refused account is not offered again: some builds lock it after a few attempts.
const PAUSE: Duration = Duration::from_secs(300);

/// Kept for one machine. Made at a machine's first write: most machines of a site never see one.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// One write at a time.
    pub turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The password since a write changed it.
    password: Option<Secret>,
    moved: Option<Moved>,
    /// When our account was refused, and by whom.
    refused: Option<(Mono, IpAddr)>,
    /// What is read rarely is read again by the next poll.
    touched: bool,
    /// The account of polls changed.
    renewed: bool,
}

/// Where the machine is since a write gave it another address.
#[derive(Debug)]
struct Moved {
    /// The machine that was sent: another may answer at either address.
    who: Identity,
    from: IpAddr,
    to: IpAddr,
    /// Whether it answered there last, or was not looked for yet.
    there: bool,
}

impl Writer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The password, when a write changed it.
    pub fn password(&self) -> Option<Secret> {
        self.lock().password.clone()
    }

    /// The machine has this password now.
    pub fn set_password(&self, password: Secret) {
        let mut state = self.lock();
        state.password = Some(password);
        state.refused = None;
        state.renewed = true;
    }

    /// Whether the account of polls changed since the last call.
    pub fn take_renewed(&self) -> bool {
        std::mem::take(&mut self.lock().renewed)
    }

    /// The address, when a write changed it.
    pub fn address(&self) -> Option<IpAddr> {
        self.lock().moved.as_ref().map(|moved| if moved.there { moved.to } else { moved.from })
    }

    /// The machine was told to go to another address.
    pub fn sent_to(&self, who: Identity, from: IpAddr, to: IpAddr) {
        self.lock().moved = (from != to).then_some(Moved { who, from, to, there: true });
    }

    /// Somebody answers where the machine is looked for. Whether it is the machine; once it was seen at its new
    /// address, the old one is forgotten, because it can be another's by now.
    pub fn is_it(&self, shown: &Identity) -> bool {
        match &mut self.lock().moved {
            Some(moved) if moved.who.prove(shown).is_err() => false,
            Some(moved) => {
                if moved.there {
                    moved.from = moved.to;
                }
                true
            }
            None => true,
        }
    }

    /// Nobody answers: it may be at the other address. False when there is no other.
    pub fn look_elsewhere(&self) -> bool {
        match &mut self.lock().moved {
            Some(moved) if moved.from != moved.to => {
                moved.there = !moved.there;
                true
            }
            _ => false,
        }
    }

    /// A write may have changed what polls keep.
    pub fn touch(&self) {
        self.lock().touched = true;
    }

    /// Whether a write may have changed what polls keep, since the last call.
    pub fn take_touched(&self) -> bool {
        std::mem::take(&mut self.lock().touched)
    }

    /// Our account was refused at this address.
    pub fn note(&self, cx: &Ctx, ip: IpAddr) {
        self.lock().refused = Some((cx.clock.mono(), ip));
    }

    /// Refuses to offer an account where it was refused a short while ago.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated).
    pub fn may_try(&self, cx: &Ctx, ip: IpAddr) -> Result<()> {
        let Some((at, _)) = self.lock().refused.filter(|(_, by)| *by == ip) else { return Ok(()) };
        let since = cx.clock.mono().since(at);
        if since >= PAUSE {
            return Ok(());
        }
        let text = "the web account was refused a short while ago and is not offered again yet";
        let e = Error::new(ErrorKind::Unauthenticated, OP, text).with("address", ip);
        Err(e.with("again_in_s", (PAUSE - since).as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_address_is_forgotten_once_the_machine_is_at_the_new_one() {
        let who = |mac: &str| Identity::new(Some(mac.into()), None);
        let (from, to) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let writer = Writer::default();
        assert!(writer.is_it(&who("02:00:00:00:00:09")) && !writer.look_elsewhere());
        writer.sent_to(who("02:00:00:00:00:01"), from, to);
        assert_eq!(writer.address(), Some(to));
        assert!(!writer.is_it(&who("02:00:00:00:00:09")), "another answers there");
        assert!(writer.look_elsewhere());
        assert_eq!(writer.address(), Some(from));
        assert!(writer.is_it(&who("02:00:00:00:00:01")), "it has not moved yet");
        assert!(writer.look_elsewhere());
        assert!(writer.is_it(&who("02:00:00:00:00:01")));
        assert!(!writer.look_elsewhere());
        assert_eq!(writer.address(), Some(to));
    }
}
