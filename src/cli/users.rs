//! `osqdemo users` and `osqdemo certs`: who other machines are, and who the broker is to them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `osqdemo users`.
#[derive(Debug, Args)]
pub struct UsersArgs {
    /// What to do; `list` by default.
    #[command(subcommand)]
    pub command: Option<UsersCommand>,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// List them.
    List,
    /// Make one, or give one another password, which is asked for.
    Add(AddUserArgs),
    /// Forget one: it is not let in again.
    Remove(RemoveUserArgs),
}

/// `osqdemo users add`.
#[derive(Debug, Args)]
pub struct AddUserArgs {
    /// The name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Take the password from this file, whose last line feed does not count; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `osqdemo users remove`.
#[derive(Debug, Args)]
pub struct RemoveUserArgs {
    /// The name.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `osqdemo certs`.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a certificate for the project's broker, and the private authority that signs it.
    Make(MakeCertsArgs),
}

/// `osqdemo certs make`.
#[derive(Debug, Args)]
pub struct MakeCertsArgs {
    /// A name or an address under which other machines find the broker; may be given several times [default: this machine's
    /// host name]
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
}
