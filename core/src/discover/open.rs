use serde_json::Value;

use super::{Outcome, probe_one};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::{Direct, Ports, Registry},
    io::Ctx,
    model::Path,
};

const OP: &str = "discover.open_one";

/// Looks what is at `host` and opens it, outside any site. `credentials` are options such as `password`; only a
/// device that a driver recognised gets them.
///
/// Made for scripts and first steps. A program that keeps its devices registers
/// [`Match::conf`](crate::driver::Match::conf) once and need not look again.
///
/// # Errors
/// As [`probe_one`] and [`Direct::open`]; [`Unreachable`](ErrorKind::Unreachable) when nothing listens there,
/// [`Unsupported`](ErrorKind::Unsupported) with what it answered when no driver knows it.
pub async fn open_one(
    cx: &Ctx,
    registry: &Registry,
    host: &str,
    ports: Ports,
    credentials: &[(&'static str, &str)],
) -> Result<Direct> {
    let found = match probe_one(cx, registry, host, ports).await? {
        Outcome::Device(found) => found,
        Outcome::Unknown(unknown) => {
            let said: Vec<String> = unknown.answers.iter().map(ToString::to_string).collect();
            let why = "something answers there, but no driver knows it";
            return Err(Error::new(ErrorKind::Unsupported, OP, why)
                .with("address", host)
                .with("answers", said.join("; ")));
        }
        Outcome::Silent { refused } => {
            let why = if refused { "the host refuses the ports of miners" } else { "nothing answers" };
            return Err(Error::new(ErrorKind::Unreachable, OP, why)
                .with("address", host)
                .with("ports", format!("rpc {}, web {}", ports.rpc, ports.web)));
        }
    };
    let mut conf = found.conf(ThingId::random(&*cx.rng));
    conf.opts.extend(credentials.iter().map(|(key, value)| (Path::from(*key), Value::from(*value))));
    Direct::open(&**registry.driver(found.driver)?, cx, &conf).await
}
