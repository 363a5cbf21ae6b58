//! The program `sidestream`. A main of your own can be the same line.

fn main() -> std::process::ExitCode {
    sidestream::cli::main()
}
