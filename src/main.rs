//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let is_worker =
        std::env::args_os().nth(1).is_some_and(|word| word == vesalius::dicom::worker::SUBCOMMAND);
    if is_worker && vesalius::dicom::worker::run_worker(std::io::stdin(), std::io::stdout()).is_ok()
    {
        return ExitCode::SUCCESS;
    }
    ExitCode::from(2)
}
