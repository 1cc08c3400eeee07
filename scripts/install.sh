#!/usr/bin/env bash
# Installs sgdwalk so that it works without this checkout.
#
#   bash scripts/install.sh PREFIX
#
# Builds the program and the plugins in release mode and installs PREFIX/bin/sgdwalk, PREFIX/lib/sgdwalk/plugins,
# PREFIX/share/sgdwalk (experiments, and the source of walk-arch, which the crates of `sgdwalk new-plugin` depend on), completions
# for bash, zsh and fish, and manual pages. Everything is found relative to the program, so PREFIX can be moved.
set -euo pipefail
[ $# = 1 ] || { echo "usage: bash scripts/install.sh PREFIX" >&2; exit 2; }
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

cargo build --release --workspace
share=$prefix/share/sgdwalk
mkdir -p "$prefix/bin" "$prefix/lib/sgdwalk/plugins" "$share" "$prefix"/share/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
install target/release/sgdwalk "$prefix/bin/sgdwalk"
for crate in plugins/*/; do
    name=$(basename "$crate")
    for library in target/release/lib"${name//-/_}".{so,dylib}; do
        [ ! -e "$library" ] || install "$library" "$prefix/lib/sgdwalk/plugins/"
    done
done
rm -rf "$share/experiments" "$share/walk-arch"
cp -r experiments "$share/experiments"

# turns the manifest of a workspace member into a standalone one
cargo package --quiet --allow-dirty --no-verify -p walk-arch
version=$(cargo pkgid -p walk-arch | sed 's/.*[#@]//')
tar -xzf "target/package/walk-arch-$version.crate" -C "$share"
mv "$share/walk-arch-$version" "$share/walk-arch"

sgdwalk=$prefix/bin/sgdwalk
"$sgdwalk" man --out "$prefix/share/man/man1"
"$sgdwalk" completions bash > "$prefix/share/bash-completion/completions/sgdwalk"
"$sgdwalk" completions zsh > "$prefix/share/zsh/site-functions/_sgdwalk"
"$sgdwalk" completions fish > "$prefix/share/fish/vendor_completions.d/sgdwalk.fish"
echo "installed in $prefix; put $prefix/bin in PATH"
