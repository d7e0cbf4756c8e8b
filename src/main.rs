//! Entry point: arguments → subcommand → exit code.

fn main() -> std::process::ExitCode {
    callwright::cli::run()
}
