# Recipes for people. `just verify` is what has to pass before a change lands; it never edits.

# What a change has to pass.
verify:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    cargo deny check bans licenses sources
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --locked
    cargo test --workspace --locked

# A tenth of the random cases, while writing code.
quick:
    SIDESTREAM_EFFORT=quick cargo test --workspace

# Ten times the random cases, and the model check's larger configurations.
long:
    SIDESTREAM_EFFORT=long cargo test --workspace --release
    SIDESTREAM_EFFORT=long cargo test -p sidestream-model-check --release -- --ignored

# Formats the code.
fmt:
    cargo fmt --all

# A payroll day, with a crash in the middle.
payments *arguments:
    cargo run --release --example payments -- {{arguments}}

# What this machine and its disk carry out: `just bench --floor`, `just bench --help`.
bench *arguments:
    cargo run --release --features cli --bin sidestream -- bench {{arguments}}

# The same holds through sidestream, cqrs-es and UmaDB; needs protoc. What it says: benches/peers/README.md.
peers *arguments:
    cargo run --release --manifest-path benches/peers/Cargo.toml -- {{arguments}}

# Each piece by itself: `just benches append`, `just benches --help`. The crate is apart: benches/pieces/Cargo.toml.
benches *arguments:
    cargo bench --manifest-path benches/pieces/Cargo.toml --bench time -- {{arguments}}

# Instructions of the hot path, under valgrind; says what to install where something is missing.
instructions *arguments:
    cargo bench --manifest-path benches/pieces/Cargo.toml --features instructions --bench instructions -- {{arguments}}
