use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    action::{Person, Principals, Standing},
    auth::Permissions,
};

/// Who may do what now. It can be out of order.
#[derive(Debug, Default)]
pub struct Book {
    /// By the key of the name.
    rights: Mutex<BTreeMap<String, (Permissions, bool)>>,
    out_of_order: AtomicBool,
}

impl Book {
    /// Gives somebody these rights.
    pub fn set(&self, person: &Person, rights: Permissions, locked: bool) {
        let mut all = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(person.key().to_owned(), (rights, locked));
    }

    /// Forgets somebody.
    pub fn remove(&self, person: &Person) {
        self.rights.lock().unwrap_or_else(PoisonError::into_inner).remove(person.key());
    }

    /// Whether nobody's rights can be found out.
    pub fn break_down(&self, yes: bool) {
        self.out_of_order.store(yes, Ordering::SeqCst);
    }
}

#[async_trait]
impl Principals for Book {
    async fn of(&self, person: &Person) -> Result<Standing> {
        if self.out_of_order.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unreachable, "book", "the directory does not answer"));
        }
        let all = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match all.get(person.key()) {
            None => Standing::nobody(person.clone()),
            Some((rights, locked)) => {
                let standing = Standing::new(person.clone(), true, *rights);
                if *locked { standing.but_locked() } else { standing }
            }
        })
    }
}
