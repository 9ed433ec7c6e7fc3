# What a contributor runs. `just` lists it; nothing here is needed to build or to test.

export RUSTDOCFLAGS := "-D warnings"

# Everything that must be green at a commit.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test
    cargo doc --no-deps

# The tests of the rooms on PostgreSQL too: `just test-postgres postgres://user@host/postgres`.
test-postgres url:
    VESALIUS_TEST_POSTGRES={{url}} cargo test --test it

# The synthetic archive, published and served.
demo:
    cargo run --release -- demo

# Write the published JSON Schemas anew.
schemas:
    VESALIUS_TEST_WRITE_SCHEMAS=1 cargo test --test it data_files::published_schemas

# The black-box suites: all of them, or those named (see conformance/README.md).
conformance *suites:
    cargo build
    conformance/run {{suites}}

# Three FHIR validators on what the tests render.
judge-fhir:
    cargo test --test it fhir::
    conformance/fhir/judge.sh target/tmp/fhir.ndjson

# Licences, advisories and duplicates of the dependencies (needs cargo-deny).
deny:
    cargo deny check

# What CI runs, on this machine.
ci:
    CI=true bash .ci/run </dev/null
