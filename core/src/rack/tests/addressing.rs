use std::net::Ipv4Addr;

use super::*;
use crate::rack::{AddressServer, Addressing, Which};

/// Gives each MAC address 10.<subnet's second part>.0.<n>, the same as long as that is not forced to be another, and
/// notes what it was told.
#[derive(Debug, Default)]
struct Dhcp {
    notes: Mutex<Vec<String>>,
    leases: Mutex<BTreeMap<String, Ipv4Addr>>,
    given: std::sync::atomic::AtomicU8,
    fails: AtomicBool,
}

#[async_trait]
impl AddressServer for Dhcp {
    async fn set_ip(&self, mac: &str, subnet: &str, force: bool) -> Result<Ipv4Addr> {
        if self.fails.load(Ordering::SeqCst) {
            let e = Error::new(ErrorKind::Rejected, "dhcp", "no address is free");
            return Err(e.code_as("ERR_NO_AVAILABLE_IP"));
        }
        let second = subnet.split('.').nth(1).and_then(|part| part.parse().ok()).unwrap_or(0);
        let mut leases = lock(&self.leases);
        let kept = leases.get(mac).copied().filter(|ip| !force && ip.octets()[1] == second);
        let new = || Ipv4Addr::new(10, second, 0, self.given.fetch_add(1, Ordering::SeqCst) + 1);
        let ip = kept.unwrap_or_else(new);
        leases.insert(mac.to_owned(), ip);
        lock(&self.notes).push(format!("set {mac} {subnet} {force} {ip}"));
        Ok(ip)
    }

    async fn release_ip(&self, ip: Ipv4Addr) -> Result<()> {
        lock(&self.leases).retain(|_, leased| *leased != ip);
        lock(&self.notes).push(format!("release {ip}"));
        Ok(())
    }
}

async fn rack(site: &Site, addressing: Addressing) -> LocalRack {
    let subnets = [("c1", "10.1.0.0/16"), ("c2", "10.2.0.0/16")];
    site.rack_of(TYPE, "r1", |o| {
        o.addressing = addressing;
        o.container_subnets = subnets.map(|(c, s)| (c.to_owned(), s.to_owned())).into();
    })
    .await
}

fn newcomer(id: &str, info: Value) -> ThingDraft {
    draft(json!({"id": id, "opts": {"password": "hunter-2"}, "info": info}))
}

fn address(site: &Site, name: &str) -> Option<String> {
    site.things.get(&id(name)).unwrap().address().map(Into::into)
}

#[tokio::test(start_paused = true)]
async fn a_server_gives_keeps_and_takes_back_addresses() {
    let site = Site::new().await;
    let dhcp = Arc::new(Dhcp::default());
    let rack = rack(&site, Addressing::Server(Arc::clone(&dhcp) as _)).await;
    let taken = || std::mem::take(&mut *lock(&dhcp.notes));
    let mac = "c8-11-05-00-0a-01";
    let made =
        rack.register(newcomer("m1", json!({"container": "c1", "macAddress": mac})), &by()).await.unwrap();
    assert_eq!((made.address(), &made.info.map()["subnet"]), (Some("10.1.0.1"), &json!("10.1.0.0/16")));
    assert_eq!(taken(), ["set C8:11:05:00:0A:01 10.1.0.0/16 false 10.1.0.1"]);

    // The server gives the second thing with this MAC address the first one's address: that must stay.
    let twice = newcomer("m2", json!({"container": "c1", "macAddress": mac}));
    assert_eq!(refused(rack.register(twice, &by()).await).0, "ERR_THING_MACADDRESS_EXISTS");
    assert_eq!(taken(), ["set C8:11:05:00:0A:01 10.1.0.0/16 false 10.1.0.1"]);
    let other = json!({"container": "c1", "macAddress": "C8:11:05:00:0A:02", "serialNum": 7});
    assert_eq!(
        refused(rack.register(newcomer("m2", other), &by()).await).1.as_deref(),
        Some("info.serialNum")
    );
    assert_eq!(taken().last().unwrap(), "release 10.1.0.2", "what is refused gives its address back");
    let bare = newcomer("m2", json!({"container": "c9", "macAddress": "C8:11:05:00:0A:02"}));
    let bare = refused(rack.register(bare, &by()).await);
    assert_eq!(bare, ("ERR_THG_INFO_MAC_SUBNET_INVALID", Some("info.subnet".into())));
    for elsewhere in [json!({"location": "vendor"}), json!({"container": "maintenance"})] {
        rack.register(newcomer("m3", elsewhere), &by()).await.unwrap();
        rack.forget(&Which::Matching(crate::query::Filter::parse(&json!({"id": "m3"})).unwrap()), &by())
            .await
            .unwrap();
    }
    assert_eq!(taken(), Vec::<String>::new(), "no address where none is needed");

    // A note changes nothing; a move leases first and releases then, and a failed one keeps what is.
    rack.update(&id("m1"), change(json!({"info": {"note": 1}})), &by()).await.unwrap();
    dhcp.fails.store(true, Ordering::SeqCst);
    let stuck = rack.update(&id("m1"), change(json!({"info": {"container": "c2"}})), &by()).await;
    assert_eq!(
        (refused(stuck).0, address(&site, "m1").as_deref()),
        ("ERR_NO_AVAILABLE_IP", Some("10.1.0.1"))
    );
    dhcp.fails.store(false, Ordering::SeqCst);
    let all = json!({"info": {"container": "c2", "macAddress": mac}, "forceOverwrite": true});
    rack.update(&id("m1"), change(all), &by()).await.unwrap();
    assert_eq!(taken(), ["set C8:11:05:00:0A:01 10.2.0.0/16 true 10.2.0.3", "release 10.1.0.1"]);
    assert_eq!(address(&site, "m1").as_deref(), Some("10.2.0.3"));
    site.pass(3).await;
    assert_eq!(site.lab.opened("m1").last().unwrap(), &("10.2.0.3".into(), "hunter-2".into()));

    rack.update(&id("m1"), change(json!({"info": {"container": "maintenance"}})), &by()).await.unwrap();
    assert_eq!((taken(), address(&site, "m1")), (vec!["release 10.2.0.3".to_owned()], None));
    rack.update(&id("m1"), change(json!({"info": {"container": "c1"}})), &by()).await.unwrap();
    assert_eq!(address(&site, "m1").as_deref(), Some("10.1.0.4"));
    taken();
    rack.forget(&Which::All, &by()).await.unwrap();
    assert_eq!(taken(), ["release 10.1.0.4"]);
}

#[tokio::test(start_paused = true)]
async fn a_place_gives_a_static_address() {
    let site = Site::new().await;
    let rack = rack(&site, Addressing::Static).await;
    let many = vec![
        newcomer("m1", json!({"container": "imm-3", "pos": "4_2_7"})),
        newcomer("m2", json!({"container": "imm-3"})),
        newcomer("m3", json!({"container": "imm-3", "pos": "4_2"})),
    ];
    let made = rack.register_many(many, &by()).await;
    let codes: Vec<&str> = made.iter().map(|one| one.as_ref().map_or_else(|e| e.code(), |_| "")).collect();
    assert_eq!(codes, ["", "ERR_THG_INFO_INVALID", "ERR_THG_DEFAULT_STATIC_IP_INVALID"]);
    assert_eq!(address(&site, "m1").as_deref(), Some("10.3.4.27"));
    rack.update(&id("m1"), change(json!({"info": {"pos": "4_2_8"}})), &by()).await.unwrap();
    assert_eq!(address(&site, "m1").as_deref(), Some("10.3.4.28"));
    let given = json!({"info": {"pos": "5_0_1"}, "opts": {"address": "10.9.9.9"}});
    rack.update(&id("m1"), change(given), &by()).await.unwrap();
    assert_eq!(address(&site, "m1").as_deref(), Some("10.9.9.9"), "an address that is given wins");
    let own =
        json!({"id": "m4", "opts": {"forceSetIp": true}, "info": {"container": "imm-3", "pos": "1_1_1"}});
    rack.register(draft(own), &by()).await.unwrap();
    assert_eq!(address(&site, "m4"), None);
}

#[tokio::test(start_paused = true)]
async fn changes_at_once_each_get_one_address_and_leave_none_behind() {
    let site = Site::new().await;
    let dhcp = Arc::new(Dhcp::default());
    let rack = Arc::new(rack(&site, Addressing::Server(Arc::clone(&dhcp) as _)).await);
    let mac = "C8:11:05:00:0A:01";
    rack.register(newcomer("m1", json!({"container": "c1", "macAddress": mac})), &by()).await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..8 {
        let rack = Arc::clone(&rack);
        let container = if n % 2 == 0 { "c2" } else { "c1" };
        all.spawn(async move {
            rack.update(&id("m1"), change(json!({"info": {"container": container}})), &by()).await
        });
    }
    for made in all.join_all().await {
        made.unwrap();
    }
    let leases: Vec<String> = lock(&dhcp.leases).values().map(ToString::to_string).collect();
    assert_eq!(leases, [address(&site, "m1").unwrap()]);
    let released = lock(&dhcp.notes).iter().filter(|note| note.starts_with("release")).count();
    assert_eq!(
        released + 1,
        usize::from(dhcp.given.load(Ordering::SeqCst)),
        "each address but the last went back"
    );
}

#[tokio::test(start_paused = true)]
async fn subnets_of_containers_are_networks() {
    let site = Site::new().await;
    let mut options = RackOptions::new("dummy");
    options.container_subnets = [("c1".to_owned(), "10.1/16".to_owned())].into();
    let mut drivers = Registry::new();
    drivers.register(site.lab.clone());
    let info = RackInfo::new(TYPE, "r1").unwrap();
    let (cx, things) = (site.cx.clone(), Arc::clone(&site.things));
    let opened = LocalRack::open(cx, Arc::new(drivers), things, info, options, None).await;
    assert_eq!(refused(opened), ("ERR_INVALID", Some("container_subnets".into())));
}
