//! Images: how they are got, which every verb that runs a stack shares, and `osqdemo images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::StackArgs;

/// How images of registries are got.
#[derive(Debug, Clone, Default, Args)]
pub struct PullArgs {
    /// When to pull: `never`, `missing` (only what is not there), or `always` [default: missing]
    #[arg(long = "pull", value_name = "never|missing|always")]
    pub policy: Option<String>,
    /// Pull from this registry instead: a mirror, or one inside your network [env: OSQDEMO_REGISTRY]
    #[arg(long, value_name = "PREFIX")]
    pub registry: Option<String>,
    /// How long a registry may be silent during a pull [default: 2m]
    #[arg(long, value_name = "DURATION")]
    pub pull_silence: Option<String>,
}

/// Which content images must have.
#[derive(Debug, Clone, Default, Args)]
pub struct LockArgs {
    /// The lock file of the images, where it is not `images.lock` in the folder of all projects
    /// [env: OSQDEMO_IMAGES_LOCK]
    #[arg(long, value_name = "FILE", global = true)]
    pub lock_file: Option<PathBuf>,
}

/// `osqdemo images`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Whose images.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Which content they must have.
    #[command(flatten)]
    pub lock: LockArgs,
    /// What to do; `list` by default.
    #[command(subcommand)]
    pub command: Option<ImagesCommand>,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Show each image, whether it is on this machine, and whether it is the locked one.
    List(PullArgs),
    /// Pull the images that come from registries.
    Pull(PullArgs),
    /// Write down the content of the images that are on this machine; from then on nothing else is used.
    Lock(PullArgs),
    /// Write all images into one file, for a machine that reaches no registry.
    Save(ImageFileArgs),
    /// Read images from such a file.
    Load(ImageFileArgs),
}

/// `osqdemo images save` and `load`.
#[derive(Debug, Args)]
pub struct ImageFileArgs {
    /// The file: a tar archive as `docker save` writes it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
