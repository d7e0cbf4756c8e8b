//! Arguments → exit code.

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(command) if command == "apphost" => callwright::apphost::run(arguments).into(),
        _ => std::process::ExitCode::from(2),
    }
}
