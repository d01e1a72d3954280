use std::{net::Ipv4Addr, sync::Arc};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::Site;
use crate::{
    Error, ErrorKind, Result,
    discover::{AddressRange, Scan, ScanEvent, ScanReport},
    driver::{Match, Ports},
    model::Path,
    rack::{Caller, Rack, RackId, ThingDraft, ThingRecord},
};

/// Options that devices of one driver get when they are registered: user name, password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The driver.
    pub driver: String,
    /// Options by name.
    pub opts: Vec<(String, String)>,
}

impl Login {
    /// Of the devices of this driver, without options.
    pub fn new(driver: &str) -> Self {
        Self { driver: driver.into(), opts: Vec::new() }
    }

    /// Adds an option.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.opts.push((name.into(), value.into()));
        self
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.opts.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Login").field("driver", &self.driver).field("opts", &names).finish()
    }
}

/// What [`Site::find_and_register`] did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct FindReport {
    /// The scan.
    pub scan: ScanReport,
    /// Things that are new.
    pub registered: Vec<Arc<ThingRecord>>,
    /// Devices that the site has at that address already.
    pub known: Vec<Ipv4Addr>,
    /// Things whose device was found at another address, which is theirs now.
    pub moved: Vec<Arc<ThingRecord>>,
    /// Devices that were refused, with the reason; in JSON each is `{address, error}`.
    #[serde(serialize_with = "each_refused")]
    pub refused: Vec<(Ipv4Addr, Error)>,
}

fn each_refused<S: Serializer>(refused: &[(Ipv4Addr, Error)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Refused<'r> {
        address: Ipv4Addr,
        error: &'r Error,
    }
    serializer.collect_seq(refused.iter().map(|(address, error)| Refused { address: *address, error }))
}

impl Site {
    /// Scans `range` and registers what is recognised: in the rack that owns the address by the map of addresses, else
    /// in the first rack whose things are opened by the device's driver. A device whose address the site has already is
    /// left as it is. A device that is a thing of the site beyond doubt, at another address than before, is not
    /// registered again: its thing follows it.
    ///
    /// # Errors
    /// Those of [`Scan::start`] and of the store; what became of each device stands in the report.
    pub async fn find_and_register(
        &self,
        range: AddressRange,
        ports: Ports,
        logins: &[Login],
        by: &Caller,
    ) -> Result<FindReport> {
        let scan = Scan::new(Arc::clone(&self.drivers), self.cx.clone(), range).ports(ports);
        let mut events = scan.start()?;
        let mut found = Vec::new();
        while let Some(event) = events.next().await {
            if let ScanEvent::Found(device) = event {
                found.push((device.host, device.device));
            }
        }
        let scan = events.finish().await;
        let (registered, known, moved, refused) = Default::default();
        let mut report = FindReport { scan, registered, known, moved, refused };
        let found = self.without_known(found, logins, &mut report).await?;
        self.register_found(found, logins, by, &mut report).await;
        Ok(report)
    }

    async fn register_found(
        &self,
        found: Vec<(Ipv4Addr, Match)>,
        logins: &[Login],
        by: &Caller,
        report: &mut FindReport,
    ) {
        let mut by_rack: Vec<(RackId, Vec<(Ipv4Addr, ThingDraft)>)> = Vec::new();
        for (host, device) in found {
            match self.rack_of(host, &device) {
                Ok(rack) => {
                    let draft = draft(device, logins);
                    match by_rack.iter_mut().find(|(id, _)| *id == rack) {
                        Some((_, drafts)) => drafts.push((host, draft)),
                        None => by_rack.push((rack, vec![(host, draft)])),
                    }
                }
                Err(e) => report.refused.push((host, e)),
            }
        }
        for (rack, drafts) in by_rack {
            let (hosts, drafts): (Vec<_>, Vec<_>) = drafts.into_iter().unzip();
            let outcomes = self.register_in(&rack, drafts, by).await;
            for (host, outcome) in hosts.into_iter().zip(outcomes) {
                match outcome {
                    Ok(record) => report.registered.push(record),
                    Err(e) if e.code() == "ERR_THING_IP_ADDRESS_EXISTS" => report.known.push(host),
                    Err(e) => report.refused.push((host, e)),
                }
            }
        }
    }

    /// In a rack of this process together, in one that runs elsewhere one by one.
    async fn register_in(
        &self,
        rack: &RackId,
        drafts: Vec<ThingDraft>,
        by: &Caller,
    ) -> Vec<Result<Arc<ThingRecord>>> {
        if let Some(local) = self.racks.get(rack) {
            return local.register_many(drafts, by).await;
        }
        let mut outcomes = Vec::with_capacity(drafts.len());
        for draft in drafts {
            outcomes.push(self.orchestrator.register(draft, Some(rack), by).await.map(|(_, record)| record));
        }
        outcomes
    }

    fn rack_of(&self, host: Ipv4Addr, device: &Match) -> Result<RackId> {
        if let Some(owner) = self.orchestrator.thing_map().value.owner(host) {
            let kind = self.drivers.driver(device.driver)?.info().kind;
            return match self.racks.get(owner).map(|rack| rack.info().family()) {
                Some(family) if family != kind => {
                    let why = "the rack that owns this address is for things of another family";
                    let e = Error::invalid("site.find", "thingMap", why).code_as("ERR_RACK_FAMILY");
                    Err(e.with("rack", owner).with("driver", device.driver).with("address", host))
                }
                _ => Ok(owner.clone()),
            };
        }
        let fits = self.racks.values().find(|rack| rack.default_driver() == device.driver);
        fits.map(|rack| rack.info().id.clone()).ok_or_else(|| {
            let why = "no rack of the site has this driver, and no rack owns this address";
            Error::new(ErrorKind::NotFound, "site.find", why)
                .code_as("ERR_RACK_NOT_FOUND")
                .with("driver", device.driver)
                .with("address", host)
        })
    }
}

pub(super) fn draft(device: Match, logins: &[Login]) -> ThingDraft {
    let mut draft = ThingDraft::default();
    let mut opts = device.opts;
    for login in logins.iter().filter(|login| login.driver == device.driver) {
        opts.extend(
            login.opts.iter().map(|(name, value)| (Path::from(name.clone()), Value::from(value.as_str()))),
        );
    }
    draft.opts = Some(opts);
    draft.driver = Some(device.driver.to_owned());
    let facts = [("macAddress", device.mac), ("model", device.model), ("firmware", device.firmware)];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), Value::from(fact?))));
    draft.info = facts.collect::<Map<_, _>>();
    draft
}
