# make test is all a new checkout needs; the rest is for working on the library.

GO      ?= go
# The modules whose tests take the longest come first.
FOUND   := $(sort $(patsubst ././,./,$(addprefix ./,$(dir $(shell git ls-files -co --exclude-standard go.mod '*/go.mod' ':!scripts')))))
MODULES := $(filter ./ ./hosting/,$(FOUND)) $(filter-out ./ ./hosting/,$(FOUND))
BIN     := $(CURDIR)/.bin

# Pinned here and not in go.mod, which everybody who imports the library gets.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOTESTSUM     := gotest.tools/gotestsum@v1.13.0

FUZZTIME ?= 1m
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: deps
deps: ## install redis-server and curl when they are missing
	@sh scripts/install.sh redis curl

# One command for all modules, through go.work, keeps the machine busy: some packages
# compile while the tests of others wait for a server. Most tests wait most of the time,
# so more run at once than there are cores. With RACE in their environment, the linter,
# which vets, and the programs that tests build use the packages that were compiled for
# the tests. Without debug information, and without inlining in what is not ours, a new
# checkout compiles in two thirds of the time; stack traces need neither.
RACE      := GOFLAGS="-race '-gcflags=all=-dwarf=false -l' -gcflags=github.com/redisbinding/redisbinding/...=-dwarf=false"
TEST      ?= $(GO) test
TESTFLAGS ?=

.PHONY: test
test: deps ## run all tests of all modules, with the race detector
	$(RACE) $(TEST) -vet=off -p 3 -parallel 8 -timeout 10m $(TESTFLAGS) $(addsuffix ...,$(MODULES))

# A line for each package and for what fails; then the slowest tests.
.PHONY: test-timed
test-timed: ## make test, and list the ten slowest tests
	@mkdir -p $(BIN)
	@GOBIN=$(BIN) GOFLAGS= $(GO) install $(GOTESTSUM)
	@status=0; $(MAKE) --no-print-directory test \
		TEST='$(BIN)/gotestsum --format pkgname --hide-summary skipped --jsonfile $(BIN)/tests.json --' || status=$$?; \
		echo "the ten slowest tests:"; $(BIN)/gotestsum tool slowest --num 10 --jsonfile $(BIN)/tests.json; exit $$status

.PHONY: test-sdk
test-sdk: ## Dapr's JavaScript SDK against the HTTP API; installs node when it is missing
	@sh scripts/install.sh node
	cd testdata/sdk && npm ci && npm test

.PHONY: cover
cover: deps ## test coverage of the root package, with real servers
	$(GO) test -coverprofile=cover.out . && $(GO) tool cover -func=cover.out | tail -n 1

.PHONY: lint
lint: ## gofmt, go mod tidy, and golangci-lint on all modules
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	@set -e; for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy -diff); done
	@mkdir -p $(BIN)
	@GOBIN=$(BIN) GOFLAGS= $(GO) install $(GOLANGCI_LINT)
	@set -e; for m in $(MODULES); do (cd $$m && $(RACE) $(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml ./...); done

TEST_ONLY = testing$$|miniredis|testify|goleak|otel/sdk|internal/(redistest|entratest|secrettest|history)|porcupine
.PHONY: deps-check
deps-check: ## no test library in what users import, no gRPC beside the adapter, nothing of the cache in the root
	@! $(GO) list -deps . | grep -E '$(TEST_ONLY)|google.golang.org/grpc|dapr/dapr|otter|hujson|moby|gopsutil|flock'
	@! $(GO) list -deps ./cache | grep -E '$(TEST_ONLY)|google.golang.org/grpc|dapr/dapr|Azure'
	@! (cd adapters/dapr && $(GO) list -deps . ./cmd/...) | grep -E '$(TEST_ONLY)'
	@! (cd hosting && $(GO) list -deps .) | grep -E '$(subst miniredis|,,$(TEST_ONLY))|Azure|dockertest'

comma := ,
space := $(subst ,, )
.PHONY: typecheck
typecheck: ## check that everything compiles for every platform, in seconds
	cd scripts/typecheck && GOWORK=off $(GO) build -o $(BIN)/typecheck .
	$(BIN)/typecheck $(subst $(space),$(comma),$(PLATFORMS)) $(addsuffix ...,$(MODULES))

.PHONY: cross
cross: ## build and vet for every platform, in minutes
	@set -e; for p in $(PLATFORMS); do for m in $(MODULES); do (cd $$m && echo "== $$p $$m" && \
		export GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 && $(GO) build ./... && $(GO) vet ./...); done; done

BENCH = cd benchmarks && $(GO) test -run '^$$' -benchtime 1x -timeout 60m . -out results

.PHONY: bench
bench: deps ## the tables and the plot of the README, in benchmarks/results
	$(BENCH) -test.bench 'Table|Batch|Integrity'

.PHONY: bench-more
bench-more: deps ## servers far away, clusters, TLS, 10,000 callers
	$(BENCH) -test.bench 'Distance|Cluster|TLS|ManyCallers'

.PHONY: bench-cache
bench-cache: deps ## the cache side by side with go-redis by hand, otter and go-redis/cache
	$(BENCH) -test.bench Cache

SOAKTIME ?= 10s
.PHONY: soak
soak: deps ## break servers and networks, each way for SOAKTIME (10s), and write docs/reliability.md
	$(GO) test -count=1 -timeout 90m ./internal/soak -each $(SOAKTIME) -report $(CURDIR)/docs/reliability.md

.PHONY: soak-short
soak-short: deps ## the soak with a second for each way, and no report; part of .ci/run
	$(RACE) $(GO) test -vet=off -count=1 -timeout 10m ./internal/soak -each 1s

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (1m), four at a time
	@GO=$(GO) FUZZTIME=$(FUZZTIME) sh scripts/fuzz.sh
