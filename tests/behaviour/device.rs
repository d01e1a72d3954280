//! Looking for devices, and one device outside any site.

use std::{sync::Arc, time::Duration};

use headframe::{
    ThingId,
    discover::{AddressRange, Scan, ScanEvent},
    driver::{Direct, Ports},
    io::Ctx,
    model::ThingConf,
};
use serde_json::{Value, json};

use super::{
    told,
    world::{Done, Failure, Handle, With, World, nobody},
};

pub async fn discover(with: &With) -> Done {
    let range: AddressRange = with.get::<String>("range")?.parse()?;
    let ports = with.some::<Ports>("ports")?.unwrap_or_default();
    let mut scan = Scan::new(Arc::new(headframe::registry()), Ctx::system(), range).ports(ports);
    if let Some(ms) = with.some("deadlineMs")? {
        scan = scan.deadline(Duration::from_millis(ms));
    }
    if let Some(addresses) = with.some("concurrency")? {
        scan = scan.concurrency(addresses);
    }
    let mut events = scan.start()?;
    let (mut devices, mut unknown) = (Vec::new(), Vec::new());
    while let Some(event) = events.next().await {
        let of = match event {
            ScanEvent::Found(_) => &mut devices,
            ScanEvent::Unknown { .. } => &mut unknown,
            _ => continue,
        };
        of.push((event.host(), told::plain(&event)));
    }
    let [devices, unknown] = [devices, unknown].map(|mut found| {
        found.sort_by_key(|(host, _)| *host);
        found.into_iter().map(|(_, told)| told).collect::<Value>()
    });
    Ok(json!({"devices": devices, "unknown": unknown, "summary": events.finish().await}))
}

pub async fn answer(world: &mut World, verb: &str, with: &With) -> Done {
    if verb == "open" {
        world.device = Handle::Open(open(&world.cx, with).await?);
        return Ok(Value::Null);
    }
    if verb == "close" {
        if let Some(device) = world.device.take()? {
            device.close().await;
        }
        return Ok(Value::Null);
    }
    let device = world.device.get()?;
    let within = |usual: u64| -> Result<Ctx, Failure> {
        Ok(world.cx.deadline_in(Duration::from_millis(with.some("withinMs")?.unwrap_or(usual))))
    };
    match verb {
        "capability" => Ok(told::plain(&*device.capability())),
        "snapshot" => Ok(told::plain(&device.snapshot(&within(30_000)?).await?)),
        "execute" => Ok(told::plain(&device.execute(&within(600_000)?, &with.read("command")?).await?)),
        _ => nobody(),
    }
}

async fn open(cx: &Ctx, with: &With) -> Result<Direct, Failure> {
    let (drivers, driver) = (headframe::registry(), with.get::<String>("driver")?);
    let mut conf = ThingConf::new(ThingId::new("direct")?, &driver);
    conf.opts = with.read("opts")?;
    let driver = Arc::clone(drivers.driver(&driver)?);
    Ok(Direct::open(&*driver, cx, &conf).await?)
}
