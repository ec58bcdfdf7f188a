# `just` lists what there is to do; `just ready` is exactly what CI runs.

_default:
    @just --list

# Everything CI runs, installing what is missing.
ready:
    ./tests/run

# The example application, all scenarios, on a fresh SQLite file.
demo:
    cargo run -p library -- demo

# Formats the code.
fmt:
    cargo fmt --all

# Rewrites the expected outputs (UI tests, expansions, golden files); read the diff before you commit it.
bless:
    TRYBUILD=overwrite UPDATE_SNAPSHOTS=1 cargo test --workspace --all-features

# The Kafka broker that tests can kill: half an hour, once. Without it they use a mock, on which a kill is an outage.
kafka-broker:
    cargo build --release --ignore-rust-version --manifest-path tests/kafka-broker/Cargo.toml --target-dir target/kafka-broker
    @echo 'use it: DOMAIN_EVENTS_KAFKA_BROKER="{{justfile_directory()}}/target/kafka-broker/release/kafka-broker" just ready'

# The benchmarks; prints ratios within one run.
bench:
    cargo bench --manifest-path tests/bench/Cargo.toml
