//! The program `sidestream`. A main of your own can be the same line.

/// Commands are built on one thread and freed on another, which many allocators are slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sidestream::cli::main()
}
