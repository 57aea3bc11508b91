#!/usr/bin/env bash
# Tries mutants of the sources with cargo-mutants, file by file, each with the tests of its layer.
#
#   tests/mutants.sh                        all layers
#   tests/mutants.sh pool selector          these layers
#   tests/mutants.sh src/net/accept.rs      this file
#   SHARD=3/20 tests/mutants.sh net         each twentieth file of a layer, from the third on (0 to 19)
#
# It can be interrupted and started again: mutants that were found before are left out. Those that were
# missed are in target/mutants/FILE/mutants.out/missed.txt. Each is an assertion to add to a test, or a
# line to remove. A file is built anew first; then a mutant takes about a minute.
# tests/mutants/README.md has the result for all files, which took three hours.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo mutants --version >/dev/null 2>&1; then
    echo "cargo-mutants is missing: cargo install cargo-mutants" >&2
    exit 2
fi

# The tests of a layer: those that are to find its mutants.
tests_of() {
    case $1 in
    sync) echo --lib --test=pool --test=reactor ;;
    sys) echo --lib --test=sys --test=alone_sys_limits --test=selector --test=alone_server_forking ;;
    selector) echo --lib --test=selector --test=readiness --test=alone_sys_limits ;;
    reactor) echo --lib --test=reactor --test=alone_reactor_probe --test=alone_reactor_fork ;;
    pool) echo --lib --test=pool ;;
    net) echo --lib --test=net --test=fuzz_corpus ;;
    server) echo --lib --test=server --test=alone_server_children --test=alone_server_forking ;;
    *)
        echo "no layer is called $1: sync, sys, selector, reactor, pool, net, server" >&2
        return 2
        ;;
    esac
}

wanted=("$@")
[ $# -gt 0 ] || wanted=(sync sys selector pool reactor net server)
shard=${SHARD:-0/1}
files=()
for name in "${wanted[@]}"; do
    case $name in
    src/*.rs) files+=("$name") ;;
    *)
        tests_of "$name" >/dev/null
        while read -r file; do files+=("$file"); done < <(git ls-files "src/$name/*.rs")
        ;;
    esac
done

status=0
for index in "${!files[@]}"; do
    [ $((index % ${shard#*/})) = "${shard%/*}" ] || continue
    file=${files[index]}
    layer=${file#src/}
    read -ra tests < <(tests_of "${layer%%/*}")
    output=target/mutants/${file//\//_}
    mkdir -p "$output"
    printf '\n== %s: cargo test %s\n' "$file" "${tests[*]}"
    # Each for the build, too: otherwise every program of the workspace is built for each mutant.
    cargo mutants --package tripoll --file "$file" --output "$output" --iterate \
        "${tests[@]/#/--cargo-arg=}" || status=$?
done
exit "$status"
