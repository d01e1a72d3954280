//! What a local rack gives to whoever carries approved writes out. Crate-private: a rack itself has no way to write.

use std::{sync::Arc, time::Duration};

use super::{changes, local::LocalRack, options::NO_DRIVER, record::ThingRecord};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Thing,
    io::Ctx,
    model::{Capability, CommandName, CommandRow},
    query::Filter,
};

const OP: &str = "rack.write";
/// Code of the error for a thing whose identity is in doubt until a person decides.
pub const THING_HELD: &str = "ERR_THING_HELD";
/// Code of the error for a thing that is being repaired.
pub const IN_MAINTENANCE: &str = "ERR_THING_IN_MAINTENANCE";
/// Code of the error for a thing that is registered to be read only.
pub const READ_ONLY: &str = "ERR_THING_READ_ONLY";
/// Code of the error for a thing that is no device, MiningOS's for one without a device object.
pub const NOT_POLLED: &str = "ERR_THING_NOT_INITIALIZED";
/// Code of the error for a thing of which nothing is known that could prove that it is the right device: neither a MAC
/// address nor a serial number was registered or heard.
pub const IDENTITY_UNKNOWN: &str = "ERR_IDENTITY_UNKNOWN";

impl ThingRecord {
    /// Refuses a thing that must not be written to, whatever is approved.
    pub(crate) fn check_writable(&self) -> Result<()> {
        let refused =
            |kind, code, text: &str| Err(Error::new(kind, OP, text).code_as(code).with("thing", &self.id));
        if self.driver == NO_DRIVER {
            return refused(ErrorKind::Unsupported, NOT_POLLED, "the thing is no device");
        }
        if self.read_only {
            return refused(ErrorKind::Forbidden, READ_ONLY, "the thing is registered to be read only");
        }
        if self.in_maintenance() {
            return refused(ErrorKind::Conflict, IN_MAINTENANCE, "the thing is being repaired");
        }
        if self.held.is_some() {
            let text = "nobody knows which device the thing is: decide with merge or split";
            return refused(ErrorKind::Conflict, THING_HELD, text);
        }
        Ok(())
    }
}

impl LocalRack {
    /// The records that match, in the order of their ids.
    pub(crate) async fn chosen(&self, filter: &Filter) -> Result<Vec<Arc<ThingRecord>>> {
        let mut found = Vec::new();
        self.each_chunk(&self.asked(), &|member| filter.uses(member), |records, docs| {
            let matching = records.iter().zip(docs).filter(|(_, doc)| filter.matches(doc));
            found.extend(matching.map(|(record, _)| Arc::clone(record)));
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The record of a thing that a write names by text.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with `ERR_THING_NOTFOUND` for a thing that is gone, [`Conflict`](ErrorKind::Conflict)
    /// with `ERR_THING_RACK_CHANGED` for one that is in another rack now.
    pub(crate) fn target(&self, id: &str) -> Result<Arc<ThingRecord>> {
        let gone = |id: &str| {
            let e = Error::new(ErrorKind::NotFound, OP, "there is no such thing");
            e.code_as("ERR_THING_NOTFOUND").with("thing", id)
        };
        let known = ThingId::new(id).map_err(|_| gone(id))?;
        let record = self.things.get(&known).ok_or_else(|| changes::unknown(OP, &known))?;
        if record.rack != self.rules.info.id {
            let e = Error::new(ErrorKind::Conflict, OP, "the thing is in another rack now");
            return Err(e.code_as("ERR_THING_RACK_CHANGED").with("thing", id).with("rack", &record.rack));
        }
        Ok(record)
    }

    /// All records, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<ThingRecord>> {
        self.things.of_rack(&self.rules.info.id)
    }

    /// Waits until it is known what every change so far came to.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(crate) async fn settled(&self) -> Result<()> {
        self.things.ask(|_| Ok(())).await
    }

    /// The opened thing that is polled; see [`Collector::thing`](super::Collector).
    pub(crate) async fn thing(&self, cx: &Ctx, id: &ThingId) -> Result<Arc<dyn Thing>> {
        self.running()?;
        self.polling.collector.thing(cx, id).await
    }

    /// What a thing can do; `None` while that is not known.
    pub(crate) fn capability(&self, id: &ThingId) -> Option<Arc<Capability>> {
        self.polling.collector.capability(id)
    }

    /// The longest that the effect of a command takes to show on any device of a driver; `None` when it never shows.
    pub(crate) fn slowest(&self, driver: &str, name: CommandName) -> Option<Duration> {
        let driver = self.rules.drivers.driver(driver).ok()?;
        let lists = driver.info().generations.iter().flat_map(|generation| generation.commands);
        let rows = lists.flat_map(|rows| rows.iter()).filter(|row: &&CommandRow| row.name == name);
        rows.filter_map(|row| row.read_back.within()).max()
    }

    /// Closes the connections of all things and collects anew; says how many things there are.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after the rack was shut down.
    pub(crate) fn restart(&self) -> Result<usize> {
        self.running()?;
        self.polling.collector.restart()
    }
}
