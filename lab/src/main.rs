//! The command `tripoll`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tripoll_lab::cli::main()
}
