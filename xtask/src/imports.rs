//! Who may import whom. `ARCHITECTURE.md` shows the same table with its reasons.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    source::{self, Named},
    workspace::{self, Workspace},
};

/// What each module of the core may import, beside itself.
const CORE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("units", &["error"]),
    ("secret", &["error"]),
    ("planted", &[]),
    ("id", &["error", "io"]),
    ("io", &["error"]),
    ("model", &["error", "id", "units", "secret", "io"]),
    ("codec", &["error", "io", "secret", "planted"]),
    ("query", &["error"]),
    ("stats", &["error", "io"]),
    ("store", &["error", "id", "secret", "io", "model"]),
    ("history", &["error", "io", "planted"]),
    ("driver", &["error", "id", "units", "io", "model", "planted"]),
    ("discover", &["error", "id", "units", "io", "model", "codec", "driver"]),
    (
        "rack",
        &["error", "id", "units", "secret", "io", "model", "query", "stats", "store", "driver", "planted"],
    ),
    // Series are asked of things that a filter chooses.
    ("telemetry", &["error", "id", "io", "model", "query", "stats", "history", "rack", "planted"]),
    // What other modules count, under the names that are documented.
    ("metrics", &["discover", "rack", "stats", "store", "history", "telemetry"]),
    ("auth", &["error"]),
    ("audit", &["error", "io", "store", "planted"]),
    (
        "action",
        &["error", "id", "secret", "io", "model", "query", "store", "driver", "auth", "audit", "planted"],
    ),
    (
        "site",
        &[
            "error",
            "id",
            "io",
            "metrics",
            "model",
            "query",
            "store",
            "driver",
            "discover",
            "rack",
            "auth",
            "audit",
            "action",
            "ork",
            "history",
            "telemetry",
        ],
    ),
    (
        "ork",
        &[
            "error", "id", "io", "model", "query", "stats", "store", "driver", "discover", "rack", "auth",
            "audit", "action", "planted",
        ],
    ),
];

/// The module that may import all others, and that no other may import outside its tests.
const KIT: &str = "testkit";

/// What drivers may import from the core.
const FOR_DRIVERS: &[&str] = &["error", "id", "units", "secret", "io", "model", "codec", "driver", "planted"];

/// What simulated devices may import from the core: they are the oracle, so they share no wire type and no codec
/// with what they judge.
const FOR_SIMULATORS: &[&str] = &["error", "io"];

/// Checks all sources; says how many, or what is wrong, one line each.
pub fn check(ws: &Workspace) -> Result<String, String> {
    let manifest = ws.read("drivers/Cargo.toml")?;
    let vendors: BTreeSet<String> =
        workspace::keys(&manifest, "features").into_iter().filter(|f| f != "default").collect();
    let rules = Rules { core: Roots::of(&ws.read("core/src/lib.rs")?), vendors };

    let mut problems = Vec::new();
    for folder in folders(&ws.path("drivers/src"))? {
        if !rules.vendors.contains(&folder) {
            problems.push(format!("drivers/src/{folder}: has no feature of that name in drivers/Cargo.toml"));
        }
    }
    let drivers = Roots::of(&ws.read("drivers/src/lib.rs")?);
    let mut files = 0;
    for (at, part) in [
        ("core/src", Part::Core),
        ("drivers/src", Part::Drivers(&drivers)),
        ("drivers/sim/src", Part::Simulators),
    ] {
        let mut sources = Vec::new();
        collect(&ws.path(at), &mut Vec::new(), &mut sources)?;
        if sources.is_empty() {
            return Err(format!("{at}: no source files"));
        }
        for (relative, module) in sources {
            let file = format!("{at}/{relative}");
            files += 1;
            problems.extend(rules.violations(part, &file, &module, &ws.read(&file)?));
        }
    }
    if problems.is_empty() {
        Ok(format!("{files} files import only what they may"))
    } else {
        Err(problems.join("\n"))
    }
}

/// Where the names at a crate's root come from.
#[derive(Debug)]
struct Roots {
    modules: BTreeSet<String>,
    names: BTreeMap<String, String>,
    glob: bool,
}

impl Roots {
    fn of(lib: &str) -> Self {
        let modules: BTreeSet<String> = source::modules(lib).into_iter().collect();
        let mut roots = Self { names: BTreeMap::new(), modules, glob: false };
        for path in source::paths(lib, &[]) {
            let mut segments = path.segments.iter().filter(|s| *s != "crate");
            let (Some(module), Some(name)) = (segments.next(), segments.next_back()) else { continue };
            if roots.modules.contains(module) {
                roots.glob |= name == "*";
                roots.names.insert(name.clone(), module.clone());
            }
        }
        roots
    }

    /// The module behind a name at the root; `None` for what the root itself defines, macros for example.
    fn module<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.modules.contains(name) { Some(name) } else { self.names.get(name).map(String::as_str) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Core,
    Drivers(&'a Roots),
    Simulators,
}

#[derive(Debug)]
struct Rules {
    core: Roots,
    vendors: BTreeSet<String>,
}

impl Rules {
    /// What is wrong with one file, one line each.
    fn violations(&self, part: Part<'_>, file: &str, module: &[String], text: &str) -> Vec<String> {
        let mut out = Vec::new();
        let root = module.is_empty();
        if root && matches!(part, Part::Core) && self.core.glob {
            out.push(format!("{file}: a glob at the root hides where names come from"));
        }
        if let (Part::Core, Some(top)) = (part, module.first())
            && top != KIT
            && !CORE.iter().any(|(name, _)| name == top)
        {
            out.push(format!("{file}: module '{top}' has no row in xtask/src/imports.rs"));
            return out;
        }
        for path in source::paths(text, module) {
            let problem = match part {
                Part::Core => self.in_core(module.first(), &path),
                Part::Drivers(roots) => self.in_drivers(roots, module.first(), &path),
                Part::Simulators => self.in_simulators(&path),
            };
            if let Some(why) = problem {
                out.push(format!("{file}:{}: {why} ({})", path.line, path.segments.join("::")));
            }
        }
        out
    }

    fn in_core(&self, top: Option<&String>, path: &Named) -> Option<String> {
        if let Some(vendor) = path.segments.iter().find(|s| self.vendors.contains(*s)) {
            return Some(format!("the core knows no vendor, so not '{vendor}'"));
        }
        let (root, name) = split(path);
        if matches!(root, "headframe" | "headframe_drivers" | "headframe_sim") {
            return Some(format!("the core is below '{root}'"));
        }
        let top = top?;
        if root != "crate" || top == KIT {
            return None;
        }
        let Some(name) = name else { return Some("names the whole crate".into()) };
        let target = self.core.module(name)?;
        let may = |(module, allowed): &(&str, &[&str])| module == top && allowed.contains(&target);
        (target != top && !CORE.iter().any(may)).then(|| format!("'{top}' may not import '{target}'"))
    }

    fn in_drivers(&self, roots: &Roots, vendor: Option<&String>, path: &Named) -> Option<String> {
        match split(path) {
            ("headframe_core", name) => self.of_core("drivers", FOR_DRIVERS, name),
            (root @ ("headframe" | "headframe_sim"), _) => Some(format!("drivers may not import '{root}'")),
            ("crate", name) => {
                let vendor = vendor.filter(|v| self.vendors.contains(*v))?;
                let Some(name) = name else { return Some("names the whole crate".into()) };
                let target = roots.module(name).unwrap_or(name);
                let sibling = target != vendor && self.vendors.contains(target);
                sibling.then(|| format!("'{vendor}' may not import its sibling '{target}'"))
            }
            _ => None,
        }
    }

    fn in_simulators(&self, path: &Named) -> Option<String> {
        match split(path) {
            ("headframe_core", name) => self.of_core("simulated devices", FOR_SIMULATORS, name),
            (root @ ("headframe" | "headframe_drivers"), _) => {
                Some(format!("simulated devices may not import '{root}'"))
            }
            _ => None,
        }
    }

    fn of_core(&self, who: &str, allowed: &[&str], name: Option<&str>) -> Option<String> {
        let Some(name) = name else { return Some("names the whole core".into()) };
        let target = self.core.module(name).unwrap_or(name);
        (!allowed.contains(&target)).then(|| format!("{who} may not import '{target}' from the core"))
    }
}

/// The crate a path starts at, and the name below it; `None` where that is everything.
fn split(path: &Named) -> (&str, Option<&str>) {
    let root = path.segments.first().map_or("", String::as_str);
    let name = path.segments.get(1).map(String::as_str).filter(|n| *n != "*");
    (root, name)
}

/// The sources below `folder` with their modules, ordered. Files of tests alone are left out.
fn collect(
    folder: &Path,
    module: &mut Vec<String>,
    out: &mut Vec<(String, Vec<String>)>,
) -> Result<(), String> {
    for name in names(folder)? {
        let path = folder.join(&name);
        if path.is_dir() {
            if name != "tests" {
                module.push(name);
                collect(&path, module, out)?;
                module.pop();
            }
        } else if let Some(stem) = name.strip_suffix(".rs")
            && stem != "tests"
        {
            let mut own = module.clone();
            if !(stem == "mod" || module.is_empty() && matches!(stem, "lib" | "main")) {
                own.push(stem.into());
            }
            let relative: Vec<&str> = module.iter().map(String::as_str).chain([name.as_str()]).collect();
            out.push((relative.join("/"), own));
        }
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<String>, String> {
    Ok(names(folder)?.into_iter().filter(|name| folder.join(name).is_dir()).collect())
}

fn names(folder: &Path) -> Result<Vec<String>, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE_LIB: &str = "
        pub mod codec; pub mod driver; pub mod error; mod id; pub mod io; pub mod model; pub mod rack;
        mod secret; pub mod units; #[cfg(feature = \"testkit\")] pub mod testkit;
        pub use error::{Error, ErrorKind, Result, Sent}; pub use id::ThingId; pub use secret::Secret;";
    const DRIVERS_LIB: &str =
        "pub mod antminer; pub mod whatsminer; mod common; pub use whatsminer::Whatsminer;";

    fn rules() -> Rules {
        let vendors = ["antminer", "whatsminer"].map(String::from).into();
        Rules { core: Roots::of(CORE_LIB), vendors }
    }

    fn module(path: &str) -> Vec<String> {
        path.split("::").filter(|s| !s.is_empty()).map(Into::into).collect()
    }

    fn core(at: &str, text: &str) -> Vec<String> {
        rules().violations(Part::Core, "f.rs", &module(at), text)
    }

    fn drivers(at: &str, text: &str) -> Vec<String> {
        rules().violations(Part::Drivers(&Roots::of(DRIVERS_LIB)), "f.rs", &module(at), text)
    }

    fn sim(text: &str) -> Vec<String> {
        rules().violations(Part::Simulators, "f.rs", &module("rpc"), text)
    }

    #[test]
    fn core_modules_import_what_stands_below_them() {
        let none = Vec::<String>::new();
        assert_eq!(
            core("codec::http", "use crate::{Error, Result, Secret, io::Ctx}; use super::digest;"),
            none
        );
        assert_eq!(core("rack", "use crate::driver::Thing;\nuse crate::units::Watts;"), none);
        assert_eq!(
            core("driver", "/// [`x`](crate::rack::Rack)\n#[cfg(test)] use crate::testkit::Rig;"),
            none
        );
        assert_eq!(core("testkit::cases", "use crate::{codec, rack::Rack};"), none);
        assert_eq!(core("", "pub use rack::Rack;"), none);
    }

    #[test]
    fn core_modules_do_not_import_what_stands_above_them() {
        let found = core("codec::http", "use crate::Error;\nuse crate::{ThingId, driver::Thing};");
        let expected = [
            "f.rs:2: 'codec' may not import 'id' (crate::ThingId)",
            "f.rs:2: 'codec' may not import 'driver' (crate::driver::Thing)",
        ];
        assert_eq!(found, expected);
        assert_eq!(core("error", "fn f(x: &crate::model::Snapshot) {}").len(), 1);
        assert_eq!(core("io::net", "use super::super::rack::Rack;").len(), 1);
        assert_eq!(core("rack", "use crate::testkit::Rig;").len(), 1);
        assert_eq!(core("model", "use crate::*;").len(), 1);
        assert_eq!(core("model", "use crate as all;").len(), 1);
        assert_eq!(core("brand_new", "").len(), 1);
    }

    #[test]
    fn the_core_knows_no_vendor() {
        assert_eq!(core("driver", "use headframe_drivers::register_all;").len(), 1);
        assert_eq!(core("", "use crate::codec::whatsminer::Token;").len(), 1);
        assert_eq!(core("model", "enum Make { Whatsminer } const X: &str = \"antminer::x\";").len(), 0);
        let glob = Rules { core: Roots::of("mod rack; pub use rack::*;"), ..rules() };
        assert_eq!(glob.violations(Part::Core, "lib.rs", &[], "pub use rack::*;").len(), 1);
    }

    #[test]
    fn drivers_import_their_part_of_the_core_and_no_sibling() {
        let good =
            "use headframe_core::{Error, Secret, ThingId, codec::http, driver::Thing, model, units::Watts};
            use crate::common::text; use crate::whatsminer::wire; use super::map;
            #[cfg(test)] mod tests { use headframe_sim::FleetBuilder; headframe_core::conformance!(x); }";
        assert_eq!(drivers("whatsminer::thing", good), Vec::<String>::new());
        assert_eq!(
            drivers("", "pub fn f() { whatsminer::register(); crate::antminer::register() }").len(),
            0
        );
        for bad in [
            "use headframe_core::rack::Rack;",
            "use headframe_core::testkit::Rig;",
            "use headframe_core as core;",
            "use headframe_core::*;",
            "use headframe_sim::Fleet;",
            "use crate::whatsminer::wire;",
            "use crate::Whatsminer;",
            "use super::super::whatsminer;",
            "use crate::*;",
        ] {
            assert_eq!(drivers("antminer::thing", bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn simulated_devices_share_nothing_with_drivers() {
        let good = "use headframe_core::{Error, ErrorKind, Result, io::{BoxStream, Ctx}};";
        assert_eq!(sim(good), Vec::<String>::new());
        for bad in [
            "use headframe_core::codec::cgminer;",
            "use headframe_core::{io::Ctx, model::State};",
            "use headframe_core::driver::Ports;",
            "fn f(id: headframe_core::ThingId) {}",
            "use headframe_drivers::whatsminer;",
        ] {
            assert_eq!(sim(bad).len(), 1, "{bad}");
        }
    }
}
