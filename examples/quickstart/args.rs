//! Command line.

use std::path::PathBuf;

use clap::Parser;
use headframe::site::Login;

/// Watch a fleet of miners, simulated or real.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
pub struct Args {
    /// How many simulated miners to start.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub things: u32,
    /// How long to watch, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Look at real miners: a network (10.0.0.0/24), a range (10.0.0.1-10.0.0.200) or a list.
    #[arg(long, value_name = "RANGE")]
    pub address: Option<String>,
    /// User name for real miners that ask for one; the vendor's default without it.
    #[arg(long, requires = "address")]
    pub username: Option<String>,
    /// Password for real miners; better given as the environment variable HEADFRAME_PASSWORD.
    #[arg(long, requires = "address")]
    pub password: Option<String>,
    /// Port of the cgminer-style API of real miners.
    #[arg(long, requires = "address", default_value_t = 4028)]
    pub rpc_port: u16,
    /// Web port of real miners.
    #[arg(long, requires = "address", default_value_t = 80)]
    pub web_port: u16,
    /// Folder in which the site is kept; a second run starts from it. Without it the site is gone at the end.
    #[arg(long, value_name = "PATH")]
    pub store: Option<PathBuf>,
    /// One JSON object a second instead of the table.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The credentials that were given. Only devices that were recognised get them.
    pub fn logins(&self) -> Vec<Login> {
        let password = self.password.clone().or_else(|| std::env::var("HEADFRAME_PASSWORD").ok());
        let password = password.filter(|_| self.address.is_some());
        let given = [("username", self.username.clone()), ("password", password)];
        let opts: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let login =
            |driver| opts.iter().fold(Login::new(driver), |login, (name, value)| login.with(name, value));
        ["antminer", "whatsminer"].map(login).into()
    }
}
