#!/bin/bash
# All measurements on a machine with one GPU, ten minutes at most and without a network: benchmarks/gpu/run.sh [FOLDER]
# With --stand-in it runs anywhere, small, on a stand-in for the driver: benchmarks/gpu/run.sh --stand-in [FOLDER]
# Every step has a time limit, and the next is taken whatever became of it. Nothing is reset or set on the card.
set -u
cd "$(dirname "$0")/../.." || exit
stand_in=""
if [ "${1:-}" = --stand-in ]; then stand_in=--stand-in; shift; fi
out=${1:-${OUT:-$PWD/gpu-measured}}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false
export PHLOEM_CACHE=${PHLOEM_CACHE:-$work/cache} JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$work/programs}
if [ -n "$stand_in" ]; then
    PHLOEM_CUDA_DRIVER=$($python -c 'from tests.support.kernels.stand_in_driver import build_driver as b; print(b())') || exit
    export PHLOEM_CUDA_DRIVER JAX_PLATFORMS=cpu CUDA_VISIBLE_DEVICES=0
    sizes="--lanes 256,512 --years 1"
    limits=(60 120 120 60 60 90 150)
else
    export JAX_PLATFORMS=cuda,cpu
    sizes=""
    limits=(30 90 150 60 60 60 120)
fi
failed=0

step() { # name, seconds, command
    local name=$1 limit=$2 begun=$SECONDS; shift 2
    timeout --kill-after=5 "$limit" "$@" > "$out/$name.log" 2>&1
    local rc=$?
    echo "== $name: rc $rc, $((SECONDS - begun)) s"
    tail -n 12 "$out/$name.log" | cut -c1-400
    [ $rc = 0 ] || failed=$((failed + 1))
}
measure() { echo "$python -m benchmarks.gpu.measure $1 --out $out $stand_in"; }

step who "${limits[0]}" $(measure who)
step bits "${limits[1]}" $(measure bits)
step times "${limits[2]}" $(measure times) $sizes
if [ -z "$stand_in" ] && command -v compute-sanitizer > /dev/null; then
    step memory "${limits[3]}" compute-sanitizer --tool memcheck --error-exitcode 9 $(measure small) --lanes 512 --years 1
else
    step small "${limits[3]}" $(measure small) --lanes 512 --years 1
fi
if [ -z "$stand_in" ] && command -v ncu > /dev/null; then
    metrics=sm__inst_executed.avg.per_cycle_active,smsp__warps_active.avg.per_cycle_active,dram__bytes.sum
    metrics=$metrics,smsp__inst_executed.sum,lts__t_sector_hit_rate.pct
    step counters "${limits[4]}" ncu --clock-control none --kernel-name phloem_fold --launch-count 4 --metrics $metrics \
        $(measure small) --lanes 50688 --years 3
fi
step faults "${limits[5]}" $(measure faults)
campaign() {
    $python -m phloem new "$work/c.toml" --kind synthetic && $python -m phloem run "$work/c.toml" --out "$work/c" \
        --set engine.gpus=1 --set 'experiment.backend="gpu"' --set "data.cells=$1" --set data.years=4 \
        --set "engine.lanes=$2" &&
        $python -m phloem status "$work/c"
}
export -f campaign; export python work
step campaign "${limits[6]}" bash -c "campaign $([ -n "$stand_in" ] && echo 2 64 || echo 24 0)"
$(measure table)
echo "kept in $out/gpu.json; $failed steps failed"
