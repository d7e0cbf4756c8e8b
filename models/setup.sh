#!/bin/sh
# Puts the speech engines that the daemon loads at run time into native/:
#   lib/libonnxruntime.so  lib/libsherpa-onnx-c-api.so  lib/libpocketsphinx.so  model/en-us/  silero_vad.onnx  licences/
# Idempotent: a finished tree whose inputs have not changed is left alone. Everything comes from the package index that
# pip is configured for, is pinned by sha256 in requirements*.txt, and is moved into place only when complete.
# Usage: models/setup.sh [DESTINATION]      (default: native/ in the repository)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
destination=${1:-$here/../native}
mkdir -p "$(dirname -- "$destination")"
destination=$(CDPATH='' cd -- "$(dirname -- "$destination")" && pwd)/$(basename -- "$destination")

say() { printf 'speech engines: %s\n' "$*"; }
fail() { printf 'speech engines: %s\n' "$*" >&2; exit 1; }

inputs=$(cat "$here/setup.sh" "$here/requirements.txt" "$here/requirements-source.txt" | sha256sum | cut -d' ' -f1)
complete=yes
for file in lib/libonnxruntime.so lib/libsherpa-onnx-c-api.so lib/libpocketsphinx.so model/en-us/en-us/mdef model/en-us/cmudict-en-us.dict silero_vad.onnx; do
    [ -s "$destination/$file" ] || complete=no
done
if [ "$complete" = yes ] && [ "$(cat "$destination/.inputs" 2>/dev/null)" = "$inputs" ]; then
    say "complete in $destination"
    exit 0
fi

for tool in cmake cc tar; do
    command -v "$tool" >/dev/null 2>&1 || fail "'$tool' is missing: apt-get install -y cmake gcc libc6-dev make tar"
done
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -m pip --version >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "python3 with pip is missing: apt-get install -y python3 python3-pip"

stage=$destination.partial
rm -rf "$stage"
mkdir -p "$stage/tree/lib" "$stage/tree/model" "$stage/tree/licences" "$stage/wheels" "$stage/source" "$stage/build"
trap 'rm -rf "$stage"' EXIT INT TERM
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

run() { # NAME COMMAND...: keeps the output for the case that it fails
    name=$1
    shift
    "$@" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; fail "$name failed (see above)"; }
}

say "1/4 fetching ONNX Runtime, sherpa-onnx and Silero VAD (22 MB)"
run "fetching wheels" "$python" -m pip install --require-hashes --no-deps --only-binary=:all: \
    --target "$stage/wheels" -r "$here/requirements.txt"
cp "$stage/wheels/sherpa_onnx/lib/libonnxruntime.so" "$stage/wheels/sherpa_onnx/lib/libsherpa-onnx-c-api.so" "$stage/tree/lib/"
cp "$stage/wheels/silero_vad/data/silero_vad.onnx" "$stage/tree/"
cp "$stage"/wheels/silero_vad-*.dist-info/licenses/LICENSE "$stage/tree/licences/silero-vad"
smart_turn=$stage/wheels/pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx
if [ -s "$smart_turn" ]; then
    cp "$smart_turn" "$stage/tree/"
    cp "$stage"/wheels/pipecat_ai-*.dist-info/licenses/LICENSE "$stage/tree/licences/smart-turn"
else
    say "going on WITHOUT smart-turn, which hears whether a turn is over: its package wants Python 3.11 or later"
fi

say "2/4 fetching PocketSphinx (34 MB)"
run "fetching PocketSphinx" env PYTHONPATH="$stage/wheels" "$python" -m pip download --require-hashes --no-deps \
    --no-build-isolation --no-binary=:all: --dest "$stage/source" -r "$here/requirements-source.txt"
tar -xzf "$stage"/source/pocketsphinx-*.tar.gz -C "$stage/source" --strip-components=1

say "3/4 building PocketSphinx (about 15 s)"
run "cmake" cmake -S "$stage/source" -B "$stage/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DBUILD_TESTING=OFF \
    -DCMAKE_SKIP_RPATH=ON
run "building PocketSphinx" cmake --build "$stage/build" --target pocketsphinx --parallel 2
cp -L "$stage/build/libpocketsphinx.so" "$stage/tree/lib/"
cp -R "$stage/source/model/en-us" "$stage/tree/model/"
rm -f "$stage/tree/model/en-us/en-us.lm.bin" # the general language model (27 MB): ours is made from the agent's domain
cp "$stage/source/LICENSE" "$stage/tree/licences/pocketsphinx"

say "4/4 moving into place"
printf '%s\n' "$inputs" >"$stage/tree/.inputs"
rm -rf "$destination"
mv "$stage/tree" "$destination"
say "complete in $destination"
