# Everything that a person types. `make` alone lists it.

SHELL := /bin/sh
CALLWRIGHT := target/release/callwright
# Bold on a terminal only: logs stay plain.
bold := $(shell [ -t 2 ] && printf '\033[1m')
plain := $(shell [ -t 2 ] && printf '\033[0m')

.DEFAULT_GOAL := help
.PHONY: help setup setup-build setup-test compile build run demo test interop torture fuzz soak-builds soak-doors phone-types fmt browser browser-call aiortc lint deny coverage deb clean
# The parts of one target follow each other; cargo uses all cores by itself.
.NOTPARALLEL:

help: ## this list
	@printf '%sCallwright%s answers the phone and builds what callers ask for.\n\n' '$(bold)' '$(plain)'
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@printf '\nFirst time: %smake demo%s\n' '$(bold)' '$(plain)'

setup: setup-build ## install system packages, speech engines and model packs (asks for sudo when not root)
	@.ci/setup packs

# Model packs are no part of it: neither a test nor a benchmark asks their host.
setup-build: ## what compiling and testing need: setup without model packs
	@.ci/setup build

setup-test: setup-build ## system packages, speech engines, and the foreign phones and cargo tools of the tests
	@.ci/setup test

# For whoever needs the daemon and not better ears: packages and benchmarks ask nobody.
compile: setup-build ## compile the daemon, nothing else
	cargo build --release --locked --bin callwright

build: compile ## compile the daemon; it fetches the recommended model packs if their host answers
	@.ci/setup packs

run: build ## start the daemon on the defaults (SIP 5060, HTTP 127.0.0.1:8080, data in ./var)
	$(CALLWRIGHT) serve

demo: build ## a simulated caller orders a CRM by phone; ONCE=1 ends after it
	$(CALLWRIGHT) demo $(if $(ONCE),--once)

test: setup-test ## everything that continuous integration runs
	@started=$$(date +%s); \
	phase() { printf '\n%s== %s%s (after %d s)\n' '$(bold)' "$$1" '$(plain)' $$(($$(date +%s) - started)); }; \
	phase format && cargo fmt --all --check && \
	phase deny && $(MAKE) --no-print-directory deny && \
	phase lint && $(MAKE) --no-print-directory lint && \
	phase 'tests with coverage' && .ci/coverage && \
	phase 'all passed'

torture: setup-test ## thousands of broken messages over every transport, a normal call after each one
	CALLWRIGHT_TORTURE_EVERY=1 cargo test --locked --test sip_torture -- --test-threads=1

interop: setup-build ## calls in and out of Asterisk as registrar and PBX: a table, and an error if a row fails or Asterisk is missing
	cargo test --locked --test interop

RUNS ?= 1000000
fuzz: setup-build ## RUNS (1,000,000) new inputs to each fuzz target of SIP, WebRTC, Twilio, manifests, kernels and sentences; adds them to fuzz/runs.json
	CALLWRIGHT_FUZZ_RUNS=$(RUNS) CALLWRIGHT_FUZZ_LEDGER=$(CURDIR)/fuzz/runs.json CALLWRIGHT_FUZZ_COMMIT=$$(git rev-parse --short=12 HEAD) \
		cargo test --release --locked --test fuzz_runs -- --test-threads=1 --skip the_ledger

fmt: ## format the code
	cargo fmt --all

browser: setup-build ## every type of generated app in headless Chromium; pictures in target/browser
	@node --experimental-websocket -e 'WebSocket' 2>/dev/null || { echo "make browser drives Chromium from node 20 or newer: install nodejs and chromium" >&2; exit 1; }
	rm -rf target/browser && mkdir -p target/browser
	CALLWRIGHT_BUNDLES=$(CURDIR)/target/browser/bundles cargo test --locked --test app_types bundles_for
	node --experimental-websocket tests/browser/types.mjs target/debug/callwright target/browser/bundles target/browser

browser-call: setup-build ## headless Chromium orders a CRM by voice and hears that it is live; its figures beside the daemon's
	@command -v chromium >/dev/null || { echo "make browser-call drives Chromium: install chromium (make setup-test does)" >&2; exit 1; }
	cargo test --locked --test wire_browser_call -- --ignored --nocapture

# Moved into place only when complete; what is there is left alone.
aiortc: setup-build ## aiortc, a WebRTC client of others, calls the echo (134 MB from PyPI, pinned, into target/aiortc)
	@test -d target/aiortc/aiortc || { rm -rf target/aiortc target/aiortc.partial && mkdir -p target && \
		python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes --no-deps --only-binary=:all: \
			--target target/aiortc.partial -r tests/aiortc/requirements.txt && mv target/aiortc.partial target/aiortc; }
	cargo test --locked --test wire_aiortc -- --nocapture

DOORS ?= 20
soak-doors: setup-build ## DOORS (20) calls each by SIP, browser and Twilio at once, then 100 browsers that reconnect: quality on the wire
	CALLWRIGHT_DOORS=$(DOORS) cargo test --locked --test wire_doors -- --nocapture

lint: ## clippy and rustdoc, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items

deny: ## licences, sources, bans; advisories where their database can be reached
	cargo deny --log-level error --locked check --hide-inclusion-graph licenses bans sources
	@if GIT_TERMINAL_PROMPT=0 timeout 15 git ls-remote --exit-code https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; then \
		cargo deny --log-level error --locked check --hide-inclusion-graph advisories; \
	else \
		printf 'deny: security advisories were NOT checked: their database cannot be reached from here\n'; \
	fi

coverage: setup-test ## the tests with coverage, nothing else
	.ci/coverage

bench-%: setup-build ## one benchmark: prints a table, writes target/bench/NAME.json
	@test -f benches/$*.rs || test -f dsp/benches/$*.rs || { printf 'make: no benchmark %s; there are: %s\n' '$*' "$$(ls benches dsp/benches 2>/dev/null | sed -n 's/\.rs$$//p' | tr '\n' ' ')" >&2; exit 1; }
	cargo bench --locked $$(test -f benches/$*.rs || echo '-p callwright-dsp') --bench $*

bench-media: compile ## calls per core, audio delay and CPU of the media plane, beside a bare UDP reflector
	$(CALLWRIGHT) bench media --json target/bench/media.json

bench-calls: compile ## 50 calls/s for 30 s: failed ones, INVITE to 100 and to 200, beside Asterisk in the same run
	cargo bench --locked --bench calls

bench-builds: compile ## approval to live over 20 builds of all five types, two at a time; fails over 10 s at p95 (2 minutes)
	cargo bench --locked --bench builds

bench-app: compile ## a generated app beside the same CRUD on axum and on Python's standard library (3 minutes; uses wrk where it is)
	cargo bench --locked --bench app

soak-calls: compile ## the same for 10 minutes
	cargo bench --locked --bench calls -- 50 600

soak-media: compile ## 500 calls in both directions at once for 10 minutes on one core
	$(CALLWRIGHT) bench media --points duplex:500 --seconds 600 --rounds 1 --json target/bench/soak-media.json

SOAK_BUILDS ?= 100
soak-builds: setup-build ## SOAK_BUILDS (100) real builds whose daemon is killed again and again: one live version each, none lost
	CALLWRIGHT_SOAK_BUILDS=$(SOAK_BUILDS) cargo test --locked --test soak_builds -- --exact every_build_ends_with_one_live_version_however_often_its_daemon_is_killed --nocapture

TYPES ?= all
# Compiled outside, where cargo may ask for crates; run in a network of its own, in which there is nobody but itself.
phone-types: setup-build ## all five types of software, and a dashboard of the calls themselves, ordered by phone, built, reported and used in headless Chromium, without any network
	@command -v chromium >/dev/null && node --experimental-websocket -e 'WebSocket' 2>/dev/null || { echo "make phone-types drives Chromium from node 20 or newer: install nodejs and chromium" >&2; exit 1; }
	cargo test --locked --test wire_types --no-run
	CALLWRIGHT_PHONE_TYPES=$(TYPES) unshare $$([ "$$(id -u)" = 0 ] || printf %s --map-root-user) --net \
		sh -c 'ip link set lo up && exec cargo test --locked --offline --test wire_types -- --nocapture'

deb: compile ## a Debian package in target/debian
	systemd/package.sh $(CALLWRIGHT)

clean: ## remove what was built; keeps native/ and var/
	cargo clean
