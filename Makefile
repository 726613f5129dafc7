# What there is to do here. Plain `make` lists it. Go and make are all that is needed; the tools are pinned in tools/*.mod and
# built by `go tool`. `make race` wants a C compiler too, as Go's race detector does, and docker-* a container engine.

GO        ?= go
FUZZTIME  ?= 60s
BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 5
MINUTES   ?= 10
SEED      ?= 1
# Of docker-swarm: containers, of 500 clients each. FAULT is cut, restart or kill, for docker-mission and docker-swarm.
N         ?= 4
FAULT     ?= none
# Given to go test, as in `make test TESTFLAGS=-race`; BENCHFLAGS to that of bench alone.
TESTFLAGS ?=
BENCHFLAGS ?=
# Packages that are tested at a time, and tests of one of them: more than there are cores, since most tests wait more than
# they compute.
JOBS      ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN || echo 2))
# What `make check` takes for changed is what differs from this commit.
BASE      ?= HEAD
# What `make release` makes a release of.
COMMIT    ?= HEAD
# Of `make release-check`: all or short.
WHAT      ?= all
# Given to go test by `make web`.
WEBFLAGS  ?= -short
# Steps of `make long`; none: all.
STEPS     ?=

VERSION := $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)
# -w leaves out what only debuggers read: a fifth of the binary.
LDFLAGS := -w -X main.version=$(VERSION)
GOFMT   := badly=$$(gofmt -l .) && [ -z "$$badly" ] || { echo "gofmt would change:" $$badly; exit 1; }
LINT    := $(GO) tool -modfile=$(CURDIR)/tools/lint.mod golangci-lint

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build demo check test race long web pictures lint fuzz bench bench-full bench-build bench-go soak torture mutants generate docker-build docker-check docker-mission docker-swarm release release-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/papertape, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/papertape ./cmd/papertape

demo: build ## a server and ten clients that check it, in one go
	bin/papertape demo

check: ## before each commit, under a minute: gofmt, go vet, lint of the packages that differ from BASE=HEAD, short tests
	@$(GOFMT)
	$(GO) vet ./...
	@LINT='$(LINT)' tools/lint-changed.sh $(BASE) .
	$(GO) test -p $(JOBS) -short ./...
	cd bench && $(GO) vet ./...
	@LINT='$(LINT)' tools/lint-changed.sh $(BASE) bench --config ../.golangci.yml
	cd bench && $(GO) test -p $(JOBS) -short ./...
	cd console/webtest && $(GO) vet ./...
	@LINT='$(LINT)' tools/lint-changed.sh $(BASE) console/webtest --config ../../.golangci.yml

test: ## all tests
	$(GO) test -p $(JOBS) -parallel $(JOBS) $(TESTFLAGS) ./...
	@if [ -f bench/go.mod ]; then set -x; cd bench && $(GO) test -p $(JOBS) -parallel $(JOBS) $(TESTFLAGS) $(BENCHFLAGS) ./...; fi

# A process that was built with the race detector waits a second before it ends, unless GORACE says otherwise. The tests
# start hundreds. Of the bench, which is no part of the product, it has the short ones.
race: ## all tests under the race detector, with the checks of package engine/owner; the short ones of bench
	@GORACE='atexit_sleep_ms=50 $(GORACE)' $(MAKE) --no-print-directory test TESTFLAGS='-race -tags ownercheck $(TESTFLAGS)' \
		BENCHFLAGS=-short

long: ## what is long by nature, each in its time limit, an hour or two: torture, soak, crowd, flood, 18,500 connections; STEPS="soak flood"
	@MAKE='$(MAKE)' tools/long.sh $(STEPS)

web: ## the console's pages in a real Chromium: a newcomer's walk, and what else is quick; WEBFLAGS= is everything, some minutes
	cd console/webtest && $(GO) test -count=1 $(WEBFLAGS) ./...

pictures: ## docs/images/console, made anew by the tests of the pages
	cd console/webtest && $(GO) test -count=1 -run '^TestPictures$$' ./... -update

lint: ## gofmt, go vet, golangci-lint
	@$(GOFMT)
	$(GO) vet ./...
	$(LINT) run ./...
	@if [ -f bench/go.mod ]; then set -x; cd bench && $(GO) vet ./... && $(LINT) run --config ../.golangci.yml ./...; fi
	cd console/webtest && $(GO) vet ./... && $(LINT) run --config ../../.golangci.yml ./...

fuzz: ## every fuzz target, FUZZTIME=60s each; WITHOUT=engine/journal leaves out those of a package
	@GO='$(GO)' WITHOUT='$(WITHOUT)' tools/fuzz.sh $(FUZZTIME)

bench: build bench-build ## measured against the old design, in less than ten minutes: bench/out/report.html; exit 99: a threshold broken
	bench/bin/papertape-bench run --commit '$(VERSION)'

bench-full: build bench-build ## the same with all contenders and cells: some seventy minutes
	bench/bin/papertape-bench run --full --commit '$(VERSION)'

bench-build:
	cd bench && CGO_ENABLED=0 $(GO) build -trimpath -o bin/papertape-bench .

bench-go: ## benchmarks of the packages, COUNT=5 runs each, and the median of each
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./... | awk -f tools/median.awk

soak: build ## clients that come, go, stall and vanish beside a simulated flow, for MINUTES=10
	bin/papertape soak --duration $(MINUTES)m

# What is tried: in the journal's own tests POINTS losses of power (a tenth of them with the engine on top) and FLIPS flipped bits (from
# 3000 on every failing disk and torn tail too); COUNT kills; HISTORIES of accounts; clients tormented for CLIENTS; a server traced for
# TRACE. SEED is of all of it.
DISKS = ^(TestFailingDisk|TestFullDisk|TestTornLog|TestCutFiles|TestFlippedBits|TestFlippedLog)$$
JOURNAL = $(GO) test ./engine/journal -count=1 -timeout 4h -v
torture: COUNT = 200
torture: POINTS = 100000
torture: FLIPS = 10000
torture: HISTORIES = 200
torture: CLIENTS = 2m
torture: TRACE = 10s
torture: build ## everything that can go wrong, tried: the journal's disk, kill -9, clients, linearizability, sync before ack
	@echo 'seed $(SEED); first engine/journal, which writes to bin/torture-journal.log'
	@{ $(JOURNAL) -run '^TestPowerLoss$$' -args -crashpoints $(POINTS) -crashseed $(SEED); \
		$(JOURNAL) -run '^TestPowerLossOfEngine$$' -args -crashpoints $$(($(POINTS) / 10)) -crashseed $(SEED); \
		$(JOURNAL) -run '$(DISKS)' -args -flips $(FLIPS) -crashseed $(SEED); } >bin/torture-journal.log 2>&1 || true
	bin/papertape torture --journal bin/torture-journal.log --kills $(COUNT) --histories $(HISTORIES) --clients-for $(CLIENTS) \
		--sync-for $(TRACE) --seed $(SEED)

mutants: ## the mutation gate: each deliberate bug in tools/mutants must make a test fail; PATCHES="01 17" are some of them
	@GO='$(GO)' tools/mutants.sh $(PATCHES)

generate: ## the Go code of api/ from its .proto file
	tools/generate.sh

docker-build: build ## the image papertape:latest; it takes a container engine and nothing from a registry
	@VERSION='$(VERSION)' docker/build.sh; echo

docker-check: build ## the image: its size, user, read-only root, health
	@VERSION='$(VERSION)' docker/check-image.sh

docker-mission: build ## the ten clients on one host, the server on another; FAULT=cut, restart or kill in the middle
	@VERSION='$(VERSION)' docker/two-hosts.sh mission $(FAULT)

docker-swarm: build ## N=4 hosts of 500 clients each against a server on another
	@VERSION='$(VERSION)' docker/two-hosts.sh swarm $(N) $(FAULT)

release: ## dist/: archives, Debian packages, the image, SBOMs and checksums of the commit COMMIT=HEAD; docs/releases.md
	@GO='$(GO)' tools/release.sh $(COMMIT)

release-check: ## a release made twice, and its package installed, upgraded from an old commit, removed; WHAT=short is a part
	@GO='$(GO)' tools/release-check.sh $(WHAT)

clean: ## remove what was built
	rm -rf bin bench/bin dist
