#!/usr/bin/env bash
# Builds sgdwalk for NVIDIA GPUs on x86-64 Linux. Needs neither a GPU nor NVIDIA's compiler, only Rust and a C++ compiler.
#
#   bash scripts/build_cuda.sh
#
# Creates target/cuda-dist/: sgdwalk, sgdwalk-cuda (which replaces it if device = "cuda"), plugins/, experiments/, and
# NVIDIA's libraries in libraries/; and the same as two archives, sgdwalk-cuda.tar.gz and nvidia-libraries.tar.gz.
#
# Unless CUDA_ROOT names a CUDA toolkit, the compiler and libraries of CUDA 13.0, which every driver from 580 on can run, come
# from PyPI (python3 with pip; 2 GB of disk) and are kept in target/cuda. CUDA_COMPUTE_CAP is the compute capability of the
# GPU, 90 (H100, H200) by default; the driver compiles for later ones.
set -euo pipefail
cd "$(dirname "$0")/.."

capability=${CUDA_COMPUTE_CAP:-90}
work=$PWD/target/cuda
dist=$PWD/target/cuda-dist
packages=(nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-nvrtc nvidia-cuda-cccl nvidia-cublas)

# Exits with the code for machines that cannot build it.
unavailable() {
    echo "error: $1" >&2
    exit 77
}

command -v c++ >/dev/null || unavailable "there is no C++ compiler (c++), which NVIDIA's compiler needs"

# NVIDIA's compiler and libraries, in $work/root
fetch() {
    rm -rf "$work"/{wheels,unpacked,root}
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work/wheels" "${packages[@]/%/==13.0.*}" ||
        unavailable "NVIDIA's compiler and libraries cannot be had from PyPI, and CUDA_ROOT names no toolkit"
    for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/unpacked"; done
    local root=$work/unpacked/nvidia/cu13
    chmod +x "$root"/bin/* "$root"/nvvm/bin/*
    ln -s lib "$root/lib64"
    for library in "$root"/lib/*.so.*; do ln -sf "$(basename "$library")" "${library%%.so.*}.so"; done
    mv "$root" "$work/root"
    rm -rf "$work"/{wheels,unpacked}
}

if [ -z "${CUDA_ROOT:-}" ] || [ ! -x "$CUDA_ROOT/bin/nvcc" ]; then
    [ -x "$work/root/bin/nvcc" ] || fetch
    export CUDA_ROOT=$work/root
fi

# dfdx asks nvidia-smi for the compute capability
mkdir -p "$work/bin"
printf '#!/bin/sh\nprintf "compute_cap\\n%s.%s\\n"\n' "${capability%?}" "${capability: -1}" > "$work/bin/nvidia-smi"
chmod +x "$work/bin/nvidia-smi"
export PATH=$work/bin:$CUDA_ROOT/bin:$PATH CUDA_COMPUTE_CAP=$capability

# The driver's library, libcuda, exists only where the driver is installed. The linker gets a stub with the functions that
# cudarc declares; each returns CUDA_ERROR_NO_DEVICE, so that the program behaves as on a machine without a GPU.
mkdir -p "$work/stub"
cudarc=$(dirname "$(cargo metadata --format-version 1 --features cuda --manifest-path crates/runner/Cargo.toml |
    grep -oE '[^"]*/cudarc-[^"/]*/Cargo\.toml' | head -n 1)")
{
    echo 'static int say(const char **text) { *text = "no CUDA-capable device is detected"; return 0; }'
    for name in $(grep -rhoE '\bfn cu[A-Z]\w*' "$cudarc/src/driver" | cut -c4- | sort -u); do
        case $name in
        cuGetErrorName | cuGetErrorString) echo "int $name(int error, const char **text) { return say(text); }" ;;
        *) echo "int $name(void) { return 100; }" ;;
        esac
    done
} > "$work/stub/libcuda.c"
cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$work/stub/libcuda.so.1" "$work/stub/libcuda.c"
ln -sf libcuda.so.1 "$work/stub/libcuda.so"

export LIBRARY_PATH=$work/stub:$CUDA_ROOT/lib:${LIBRARY_PATH:-}
cargo rustc -p runner --bin sgdwalk --features cuda -- -C 'link-arg=-Wl,-rpath,$ORIGIN/libraries'
strip -o "$work/sgdwalk-cuda" target/debug/sgdwalk
# afterwards, so that target/debug/sgdwalk is again the one without CUDA
cargo build --workspace

rm -rf "$dist"
mkdir -p "$dist"/{plugins,libraries}
mv "$work/sgdwalk-cuda" "$dist"
strip -o "$dist/sgdwalk" target/debug/sgdwalk
for crate in plugins/*/; do
    library=lib$(basename "$crate").so
    strip -o "$dist/plugins/$library" "target/debug/$library"
done
cp -r experiments "$dist"
for name in cublas cublasLt nvrtc nvrtc-builtins; do cp -l "$CUDA_ROOT"/lib/lib$name.so.[0-9]* "$dist/libraries"; done
tar -C "$dist" -czf "$work/sgdwalk-cuda.tar.gz" sgdwalk sgdwalk-cuda plugins experiments
tar -C "$dist" -czf "$work/nvidia-libraries.tar.gz" libraries
mv "$work"/*.tar.gz "$dist"
du -sh "$dist"/*
