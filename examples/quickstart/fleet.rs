//! The miners that are watched: simulated ones in three groups, or real ones.

use std::net::Ipv4Addr;

use headframe::{Error, Result, discover::AddressRange, driver::Ports, io::Ctx, site::Login};
use headframe_sim::{Fault, Fleet, FleetBuilder};

use crate::args::Args;

/// First address of each group of simulated miners.
const GROUPS: [(&str, Ipv4Addr); 3] = [
    ("container-1", Ipv4Addr::new(127, 31, 0, 1)),
    ("container-2", Ipv4Addr::new(127, 32, 0, 1)),
    ("container-3", Ipv4Addr::new(127, 33, 0, 1)),
];

/// How many simulated miners are put to sleep.
const SLEEPERS: usize = 5;

/// What is watched and where it is.
pub struct Fleets {
    /// Addresses to scan.
    pub range: AddressRange,
    /// Ports to scan.
    pub ports: Ports,
    fleets: Vec<Fleet>,
}

impl Fleets {
    /// Real miners at `range`.
    pub fn real(range: &str, args: &Args) -> Result<Self> {
        let ports = Ports { rpc: args.rpc_port, web: args.web_port, ..Ports::default() };
        Ok(Self { range: range.parse()?, ports, fleets: Vec::new() })
    }

    /// Starts `things` simulated miners: Whatsminers, Antminers, and both mixed.
    pub async fn simulated(cx: &Ctx, things: u32) -> Result<Self> {
        let things = things as usize;
        let sizes = [things.div_ceil(3), (things + 1) / 3, things / 3];
        let mut fleets = Vec::new();
        let mut ranges = Vec::new();
        for (index, ((_, base), size)) in GROUPS.into_iter().zip(sizes).enumerate().filter(|(_, g)| g.1 > 0) {
            let builder = FleetBuilder::new().seed(index as u64 + 1).base(base);
            let builder = match index {
                0 => builder.whatsminers(size),
                1 => builder.antminers(size),
                _ => builder.whatsminers(size.div_ceil(2)).antminers(size / 2),
            };
            let fleet = builder.start(cx).await.map_err(|e| start_failed(things, e))?;
            if let Some(last) = fleet.devices().last() {
                ranges.push(format!("{base}-{}", last.ip()));
            }
            fleets.push(fleet);
        }
        Ok(Self { range: ranges.join(",").parse()?, ports: Ports::simulated(), fleets })
    }

    /// Group of an address: the container of a simulated miner, the network of a real one.
    pub fn group(&self, address: &str) -> String {
        let octets: Vec<&str> = address.split('.').collect();
        let simulated = GROUPS.iter().find(|(_, base)| {
            !self.fleets.is_empty() && octets.get(1).is_some_and(|o| *o == base.octets()[1].to_string())
        });
        match (simulated, octets.as_slice()) {
            (Some((name, _)), _) => (*name).to_owned(),
            (None, [a, b, c, _]) => format!("{a}.{b}.{c}.0/24"),
            _ => address.to_owned(),
        }
    }

    /// What to sign in with: what was given for real miners, the factory's password for simulated ones.
    pub fn logins(&self, args: &Args) -> Vec<Login> {
        if self.fleets.is_empty() {
            return args.logins();
        }
        vec![Login::new("whatsminer").with("password", "admin")]
    }

    /// Addresses of simulated miners to put to sleep: some of the first group, without the one that will hang.
    pub fn sleepers(&self) -> Vec<String> {
        let Some(first) = self.fleets.first() else { return Vec::new() };
        let hangs = first.devices().len() / 2;
        let others = first.devices().iter().enumerate().filter(|(index, _)| *index != hangs);
        others.take(SLEEPERS).map(|(_, device)| device.ip().to_string()).collect()
    }

    /// Makes things happen at the right second: one device hangs after a quarter of the time, one overheats
    /// from a tenth on.
    pub fn play(&self, second: u64, seconds: u64) {
        let (Some(first), Some(last)) = (self.fleets.first(), self.fleets.last()) else { return };
        if second == (seconds / 4).max(1)
            && let Some(device) = first.devices().get(first.devices().len() / 2)
        {
            device.fault(Fault::Hang);
        }
        if second == (seconds / 10).max(1)
            && let Some(device) = last.devices().last()
        {
            device.fault(Fault::Overheat);
        }
    }
}

fn start_failed(things: usize, e: Error) -> Error {
    Error::new(e.kind(), "quickstart.simulate", format!("cannot start {things} simulated miners"))
        .with("hint", "is another simulator running, or is the limit of open files too low?")
        .caused_by(e)
}
