#!/usr/bin/env bash
# Table 1 of the paper at its own size: trains a network once for 100 epochs, then measures epochs 1, 10, 25 and 100 by forks.
#
#   scripts/table1_full.sh vgg11|resnet56 [EPOCH...]
#
# Run it from a folder with data/; runs go to runs/table1-full/. SGDWALK is the program (default: cargo run -p runner --).
# Stopped runs are resumed, so the script can be restarted at any time. On two cores, it takes about half a day per network.
#
# For each epoch, there are three forks:
#   fixed      every update in adaptive mode, and the noise of rounding after the last one: Table 1's cell
#   augmented  every fifth update in adaptive mode on images that are cropped and flipped once, and the noise of the authors'
#              evaluation: what that evaluation would be expected to show (table paper_barriers)
#   paper      updates 150, 300 and 450 evaluated as the authors did, to check that expectation
set -euo pipefail

network=$1
shift
epochs=("$@")
[ ${#epochs[@]} -gt 0 ] || epochs=(1 10 25 100)
here=$(cd "$(dirname "$0")/.." && pwd)
sgdwalk=${SGDWALK:-cargo run --manifest-path "$here/Cargo.toml" -p runner --}
base=$here/experiments/base/$network-cifar10.toml
folder=runs/table1-full
updates=450

# run OUT COMMAND...: resumes OUT, or creates it
run() {
    local out=$1
    shift
    if [ -e "$out/run.json" ]; then
        grep -q '"status": "finished"' "$out/run.json" || $sgdwalk resume "$out"
    else
        $sgdwalk "$@" --out "$out"
    fi
}

train() {
    local last=$1
    local out=$folder/$network
    if [ -e "$out/checkpoints/epoch-$(printf %07d "$last").safetensors" ]; then return; fi
    run "$out" "$base" --set name="$network" --set epochs=100 --set 'checkpoint.epochs=[9, 24, 99]'
}

# measure EPOCH KIND SETTINGS...: repeats the training of epoch EPOCH with probes
measure() {
    local epoch=$1 out=$folder/$network-epoch$1-$2
    local settings=(--set name="$network-$2" --set epochs="$epoch" --set 'checkpoint.epochs=[]' "${@:3}")
    if [ "$epoch" = 1 ]; then
        run "$out" "$base" "${settings[@]}"
    else
        run "$out" fork "$folder/$network@$(((epoch - 1) * updates))" "${settings[@]}"
    fi
}

for epoch in "${epochs[@]}"; do
    [ "$epoch" = 1 ] || train $((epoch - 1))
    at_end="when={epochs=[$epoch], at_end_of_epochs=true}"
    measure "$epoch" fixed \
        --set "probe.interpolation.when={epochs=[$epoch]}" --set 'probe.interpolation.mode="adaptive"' \
        --set "probe.noise.$at_end" --set probe.noise.evaluations=10
    measure "$epoch" augmented \
        --set "probe.interpolation.when={epochs=[$epoch], every=5}" --set 'probe.interpolation.mode="adaptive"' \
        --set 'probe.interpolation.evaluation="augmented"' \
        --set "probe.noise.$at_end" --set probe.noise.evaluations=3 --set 'probe.noise.evaluation="paper"'
    measure "$epoch" paper \
        --set "probe.interpolation.when={epochs=[$epoch], every=150}" --set 'probe.interpolation.evaluation="paper"'
done
