//! What packagers install beside the binary.

use clap::{Args, CommandFactory as _};

use super::{Cli, print};

#[derive(Debug, Args)]
pub(super) struct Completions {
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "gnomon-collector", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}

pub(super) fn man() -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))
}
