//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Hosts OpenAperture: by default the whole platform in one process, on loopback, with embedded storage.
#[derive(Debug, Parser)]
#[command(name = "oa-node", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Configuration file (TOML). Without one, every component runs on embedded defaults.
    #[arg(long, env = "OA_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory for databases, units and tokens; wins over the file.
    #[arg(long, env = "OA_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the REST API; port 0 takes a free one. Wins over the file. [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Stop the units of the embedded cluster when this node stops; by default they go on running.
    #[arg(long)]
    pub(crate) stop_units: bool,
    /// Read the configuration, look whether what it names is there, say what is wrong, and end.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print every setting with its explanation and the value that would hold, as a file for --config, and end.
    #[arg(long, conflicts_with = "check")]
    pub(crate) print_config: bool,
}

const AFTER_HELP: &str = "\
Environment:
  OA_LOG   what to log, such as `info` (default), `debug`, or `oa_builder=debug,warn`

When the node is ready it prints `ready <url>` on standard output and writes `node.json` and `admin-token`
into its data directory, where `oa` finds them. SIGTERM or Ctrl-C drains it.";
