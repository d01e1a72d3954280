//! What the program is asked to do.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};

/// Programs that try to break what Headframe promises.
#[derive(Debug, Parser)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub asked: Asked,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Asked {
    /// Print the name of every check and of its planted bug.
    List,
    /// Run one check and print its line.
    Run(How),
    /// Make the store that later releases have to open, with what is expected of it, in a new folder.
    Fixture {
        /// The folder.
        dir: PathBuf,
    },
    /// A process that a check starts.
    #[command(hide = true)]
    Child {
        /// Its part.
        what: Part,
        /// The folder it works in.
        dir: PathBuf,
    },
}

/// How a check is run.
#[derive(Debug, Arguments)]
pub struct How {
    /// The check's name.
    pub name: String,
    /// How much of it.
    #[arg(long, value_enum, default_value_t = Profile::Ci)]
    pub profile: Profile,
    /// How many cases, instead of the profile's number.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub n: Option<u64>,
    /// Repeat the cases of this seed; a fresh one otherwise.
    #[arg(long)]
    pub seed: Option<u64>,
    /// This is the control: the build's planted bug has to be found.
    #[arg(long, conflicts_with = "control_caught")]
    pub planted: bool,
    /// What the control said, to be told in the line.
    #[arg(long)]
    pub control_caught: Option<bool>,
}

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// A few seconds a check: just enough for every path and every control.
    Quick,
    /// Under a minute a check.
    Ci,
    /// The full figures.
    Long,
}

impl Profile {
    /// The profile's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Ci => "ci",
            Self::Long => "long",
        }
    }
}

/// The part of a process that a check starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Keeps a store open until its input ends.
    Hold,
    /// Writes until a small disk is full, and goes on.
    Fill,
    /// Commits, and says what it was told of each batch.
    Tell,
    /// Changes the key of a site.
    Rotate,
    /// Runs an engine whose devices and client are the parent.
    Act,
    /// Keeps a history in a folder.
    Keep,
    /// Keeps what a rack's things say, with statistics.
    Measure,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("trust").chain(words.iter().copied()))
    }

    #[test]
    fn a_check_is_named_and_may_have_a_size_and_a_seed() {
        let Asked::Run(how) = parse(&["run", "s-power", "--n", "7", "--seed", "9"]).unwrap().asked else {
            panic!("not a run");
        };
        assert_eq!((how.name.as_str(), how.n, how.seed), ("s-power", Some(7), Some(9)));
        assert_eq!((how.profile, how.planted, how.control_caught), (Profile::Ci, false, None));
    }

    #[test]
    fn wrong_arguments_are_errors() {
        for words in [
            &["run"][..],
            &["run", "s-power", "--profile", "night"],
            &["run", "s-power", "--n", "0"],
            &["run", "s-power", "--n", "many"],
            &["run", "s-power", "--seed", "-1"],
            &["run", "s-power", "--planted", "--control-caught", "true"],
            &["child", "sing", "/tmp"],
            &["walk"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
