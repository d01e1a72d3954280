use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{FindReport, Login, Site, find::draft};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Match,
    model::ThingConf,
    rack::{Evidence, Sighting, ThingRecord, ask_identity},
};

/// How many devices are asked who they are at once, and how long one may take.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);

impl Site {
    /// Takes out of `found` the devices that the site has already: at that address, or as a thing that follows its
    /// device there. Whoever shows the identity of a thing and is not beyond doubt the same is refused.
    pub(super) async fn without_known(
        &self,
        found: Vec<(Ipv4Addr, Match)>,
        logins: &[Login],
        report: &mut FindReport,
    ) -> Result<Vec<(Ipv4Addr, Match)>> {
        let mut homes: BTreeMap<Ipv4Addr, Vec<Arc<ThingRecord>>> = BTreeMap::new();
        let mut heard = false;
        for record in self.things.ids().iter().filter_map(|id| self.things.get(id)) {
            heard |= record.evidence.is_some();
            if let Some(ip) = record.ipv4() {
                homes.entry(ip).or_default().push(record);
            }
        }
        let is_known = |(host, device): &(Ipv4Addr, Match)| {
            let there = homes.get(host).into_iter().flatten();
            there.into_iter().any(|record| record.has_port(device.opts.get("port")))
        };
        let (known, new): (Vec<_>, Vec<_>) = found.into_iter().partition(is_known);
        report.known.extend(known.into_iter().map(|(host, _)| host));
        if !heard {
            return Ok(new);
        }
        let mut left = Vec::with_capacity(new.len());
        for (host, device, told) in self.identities(new, logins).await {
            let known = match told {
                Some(told) => self.is_thing(host, told, report).await?,
                None => false,
            };
            if !known {
                left.push((host, device));
            }
        }
        Ok(left)
    }

    /// What each device says of itself, in the order given; nothing of one that cannot be read.
    async fn identities(
        &self,
        devices: Vec<(Ipv4Addr, Match)>,
        logins: &[Login],
    ) -> Vec<(Ipv4Addr, Match, Option<Evidence>)> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut asked = JoinSet::new();
        for (at, (_, device)) in devices.iter().enumerate() {
            let mut conf = ThingConf::new(ThingId::random(&*self.cx.rng), device.driver);
            conf.opts = draft(device.clone(), logins).opts.unwrap_or_default();
            let (cx, drivers, places) = (self.cx.clone(), Arc::clone(&self.drivers), Arc::clone(&places));
            asked.spawn(async move {
                let _place = places.acquire_owned().await;
                (at, ask_identity(&cx.deadline_in(PATIENCE), &drivers, &conf).await.ok().flatten())
            });
        }
        let mut told: Vec<Option<Evidence>> = vec![None; devices.len()];
        while let Some(Ok((at, evidence))) = asked.join_next().await {
            if let Some(slot) = told.get_mut(at) {
                *slot = evidence;
            }
        }
        devices.into_iter().zip(told).map(|((host, device), told)| (host, device, told)).collect()
    }

    /// Whether the device at `host` is a thing of the site, or shows its identity.
    async fn is_thing(&self, host: Ipv4Addr, told: Evidence, report: &mut FindReport) -> Result<bool> {
        let mut owners = self.things.showing(&told).await?;
        // A person said of these that others may show the same.
        owners.retain(|owner| owner.evidence.as_ref().is_none_or(|known| !known.decided));
        let Some(first) = owners.first() else { return Ok(false) };
        let mut seen = Sighting::scanned(&host.to_string(), told.clone(), self.cx.clock.wall());
        if let [owner] = owners.as_slice() {
            seen = seen.also_at_home(self.answers_at_home(owner, &told).await);
        }
        self.things.sight(vec![seen]).await?;
        let now = self.things.get(&first.id);
        match now.filter(|now| now.held.is_none() && now.ipv4() == Some(host)) {
            Some(record) => report.moved.push(record),
            None => {
                let text = "the device shows the identity of a thing that is in doubt or elsewhere";
                let e = Error::new(ErrorKind::Conflict, "site.find", text);
                report.refused.push((host, e.code_as("ERR_THING_IDENTITY").with("thing", &first.id)));
            }
        }
        Ok(true)
    }

    async fn answers_at_home(&self, thing: &ThingRecord, told: &Evidence) -> bool {
        let Ok(rack) = self.rack(&thing.rack) else { return false };
        let home = rack.identity_of(thing, PATIENCE).await.ok().flatten();
        home.is_some_and(|home| home.is_like(told))
    }
}
