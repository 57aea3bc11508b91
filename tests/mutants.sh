#!/usr/bin/env bash
# Tries mutants of the sources with cargo-mutants, layer by layer, each with the tests of its layer.
#
#   tests/mutants.sh                     all layers
#   tests/mutants.sh pool selector       these layers
#   SHARD=3/20 tests/mutants.sh net      one of twenty parts of a layer, counted from 0
#   FILE=src/net/accept.rs tests/mutants.sh net     one file
#
# It can be interrupted and started again: mutants that were caught before are left out. Those that were
# missed are in target/mutants/LAYER/mutants.out/missed.txt. Each is an assertion to add to a test, or a
# line to remove. A mutant takes about a minute, and all of them take days: run shards.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo mutants --version >/dev/null 2>&1; then
    echo "cargo-mutants is missing: cargo install cargo-mutants" >&2
    exit 2
fi

# The tests of a layer: those that are to find its mutants.
tests_of() {
    case $1 in
    sync) echo --lib --test pool --test reactor ;;
    sys) echo --lib --test sys --test alone_sys_limits --test selector --test alone_server_forking ;;
    selector) echo --lib --test selector --test readiness --test alone_sys_limits ;;
    reactor) echo --lib --test reactor --test alone_reactor_probe --test alone_reactor_fork ;;
    pool) echo --lib --test pool ;;
    net) echo --lib --test net --test fuzz_corpus ;;
    server) echo --lib --test server --test alone_server_children --test alone_server_forking ;;
    *)
        echo "no layer is called $1: sync, sys, selector, reactor, pool, net, server" >&2
        exit 2
        ;;
    esac
}

layers=("$@")
[ $# -gt 0 ] || layers=(sync sys selector pool reactor net server)
status=0
for layer in "${layers[@]}"; do
    read -ra tests < <(tests_of "$layer")
    output=target/mutants/$layer${SHARD:+-${SHARD/\//-of-}}
    mkdir -p "$output"
    printf '\n== %s: cargo test %s\n' "$layer" "${tests[*]}"
    cargo mutants --package tripoll --file "${FILE:-src/$layer/**/*.rs}" --output "$output" \
        --iterate ${SHARD:+--shard "$SHARD"} -- "${tests[@]}" || status=$?
done
exit "$status"
