# Targets are listed by `make help`, from the ## behind their names.
.DEFAULT_GOAL := help

GO       ?= go
FUZZTIME ?= 10s
TIMEOUT  ?= 10m

.PHONY: help build test check vet fmt house cc race fuzz mutate conformance conformance-thrice demo \
	kill soak bench bench-hit bench-miss bench-purge bench-disk bench-expiry bench-huge bench-ratio bench-door bench-throughput \
	bench-wire clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## the binary, in bin/edge
	$(GO) build -o bin/edge ./cmd/edge

# -count=1: go test does not see that conformance depends on what cmd/edge is built from.
# What the race detector leaves nothing to measure of (hit ratios, allocations, what Ristretto drops)
# runs again without it. The figures of bench/ratio are of the traces in $EDGE_SHARED/traces,
# three of the eight in half a minute; where there are none, they are skipped.
# bench/throughput is a module of its own, which ./... leaves out.
RACELESS = Ristretto|DuelFollows|MemoryKeepsWhatIsAskedFor|Shadow|HitAlloc|WriteAmplification|IdleConnectionsHold
test: vet fmt ## all that must pass, conformance included; with -race where gcc is
	@if $(HAVE_CC); then \
		CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) ./... && \
		$(GO) test -count=1 -timeout $(TIMEOUT) -run '$(RACELESS)' ./cachestore ./edge/h1 ./edge/h2 && \
		$(GO) test -count=1 -timeout $(TIMEOUT) -run 'TestCases/unique-keys' ./edge/casetest && \
		$(GO) test -count=1 -timeout $(TIMEOUT) ./bench/ratio && \
		cd bench/throughput && $(GO) test -count=1 -timeout $(TIMEOUT) ./...; \
	else \
		echo "test: no working gcc and no way to install it: running WITHOUT the race detector"; \
		CGO_ENABLED=0 $(GO) test -count=1 -timeout $(TIMEOUT) ./... && \
		cd bench/throughput && CGO_ENABLED=0 $(GO) test -count=1 -timeout $(TIMEOUT) ./...; \
	fi

check: vet fmt house race fuzz ## quick, for every commit: vet, house rules, race, fuzz

vet: cc ## go vet
	@for module in . bench/throughput; do \
		if $(HAVE_CC); then (cd $$module && $(GO) vet ./...); else (cd $$module && CGO_ENABLED=0 $(GO) vet ./...); fi || exit 1; \
	done

fmt: ## fails when a file is not gofmt's
	@bad=$$(find . \( -name node_modules -o -name .git -o -path ./bench/work \) -prune \
		-o -name '*.go' -print | xargs "$$($(GO) env GOROOT)/bin/gofmt" -l) || exit 1; \
	if [ -n "$$bad" ]; then echo "gofmt -w these:"; echo "$$bad"; exit 1; fi

house: ## the house rules alone
	$(GO) test -count=1 .

race: cc ## every test but conformance, with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) $$($(GO) list ./... | grep -v /conformance$$)

# -race needs a C compiler with its headers; root gets one by apt, others are told.
HAVE_CC = printf '\#include <stdlib.h>\nint main(void){return 0;}\n' | gcc -x c -o /dev/null - 2>/dev/null
cc:
	@$(HAVE_CC) || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "cc: installing gcc for the race detector" && \
		apt-get update -qq >/dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null; \
	} || echo "cc: no gcc; as root: apt-get install gcc libc6-dev"

fuzz: ## FUZZTIME (10s) of each fuzz target there is
	@grep -rHoE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]+' . | \
	sed 's/:func / /' | sort | while read -r file target; do \
		echo "fuzz $$target in $$(dirname $$file)"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" || exit 1; \
	done

mutate: ## each hook call taken out in turn: the checklist's tests must notice
	$(GO) run ./edge/mutate

conformance-thrice: ## the HTTP cache tests three times, which must not differ; two million cases beside http-cache-semantics
	EDGE_CONFORMANCE_RUNS=3 EDGE_CONFORMANCE_OUT=$(CURDIR)/bench/results/$$(date -u +%F)-conformance.txt \
		EDGE_SEMANTICS=2000000 $(GO) test -count=1 -v -timeout 30m -run 'Thrice|Semantics' ./conformance

conformance: ## the HTTP cache tests against edge, with the table
	$(GO) test -count=1 -v ./conformance

demo: ## edge before an origin, under load, purges and a restart; TRACE=file replays that, ARGS=-kill restarts by SIGKILL
	@TRACE="$(TRACE)" $(GO) run ./bench/demo $(ARGS)

KILLS ?= 20
kill: ## edge killed under load and started again, KILLS (20) times
	$(GO) run ./bench/kill -rounds $(KILLS)

soak: cc ## the long ones: all tests ten times, a million unique urls, 200 kills, five minutes of each fuzz target
	CGO_ENABLED=1 $(GO) test -race -count=10 -timeout 4h ./...
	EDGE_UNIQUE=1000000 $(GO) test -count=1 -v -timeout 1h -run 'TestCases/unique-keys' ./edge/casetest
	EDGE_MODEL_FENCES=all $(GO) test -count=1 -timeout 1h -run Fences ./edge/modeltest
	$(GO) run ./bench/kill -rounds 200 -out bench/results/$$(date -u +%Y-%m-%d)-kill.txt
	$(MAKE) fuzz FUZZTIME=5m

bench: ## every benchmark
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-hit: ## what a hit costs
	$(GO) test -run '^$$' -bench Hit -benchmem ./...

bench-miss: ## what a miss costs
	$(GO) test -run '^$$' -bench Miss -benchmem ./...

bench-purge: ## what a purge costs
	$(GO) test -run '^$$' -bench Purge -benchmem ./purge/...

bench-disk: ## the disk tier beside a plain file: hits, stores, stalls
	$(GO) run ./bench/disk -out bench/results/$$(date -u +%F)-disk.txt

bench-expiry: ## hits of memory while a million other objects expire at once; 10 minutes
	$(GO) run ./bench/disk -parts expiry -out bench/results/$$(date -u +%F)-expiry.txt $(ARGS)

bench-huge: ## 20 GiB through edge, and an object that just fits on its disk
	$(GO) run ./bench/huge -out bench/results/$$(date -u +%F)-huge.txt

bench-ratio: build ## hit ratios on the traces in $EDGE_SHARED/traces, beside LRU, the optimum and others; then the bytes missed with objective bytes; 20 minutes
	cd $${EDGE_SHARED:-../shared}/traces && { date -u +%FT%TZ; $(CURDIR)/bin/edge bench ratio --runs 3 --policies all --disk 10% --disk off *.tr.gz && \
		printf '\nobjective bytes, %s\n' "$$(date -u +%FT%TZ)" && \
		$(CURDIR)/bin/edge bench ratio --runs 3 --policies s3-fifo --disk 10% --objective bytes [!acs]*.tr.gz adapt*.tr.gz synth*.tr.gz; } \
		> $(CURDIR)/bench/results/$$(date -u +%F)-ratio.txt

bench-door: ## what is missed at the door of a running edge, beside what bench ratio says; 10 minutes
	$(GO) run ./bench/door -out bench/results/$$(date -u +%F)-door.txt -rate 1500 -trace $${EDGE_SHARED:-../shared}/traces/adaptsize-web.tr.gz
	$(GO) run ./bench/door -out bench/results/$$(date -u +%F)-door.txt -rate 2500 -divide 16 -trace $${EDGE_SHARED:-../shared}/traces/synth-z08.tr.gz

bench-throughput: ## look-ups and stores a second under eight goroutines, beside otter and a map with SIEVE; 3 minutes
	cd bench/throughput && $(GO) run . -out $(CURDIR)/bench/results/$$(date -u +%F)-throughput.txt

bench-wire: ## edge beside nginx and Varnish, which root has installed when they are missing; ARGS="-quick -out FILE", "-cases h1-1k,tls-1k -out FILE"
	$(GO) run ./bench/wire -out bench/results/$$(date -u +%F)-wire.txt $(ARGS)

clean: ## what was built and what conformance fetched
	rm -rf bin conformance/suite conformance/node_modules
