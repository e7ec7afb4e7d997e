# kongring. The two commands for a newcomer: make demo, make test.
# `make help` lists the rest.

GO         ?= go
CC         ?= cc
PREFIX     ?= /usr/local
DESTDIR    ?=
FUZZTIME   ?= 30s
LUADIR      = $(DESTDIR)$(PREFIX)/share/lua/5.1
HELPER      = luabridge/kongring/libkongring.so
HELPER_FLAGS = $(shell cat luabridge/helper/flags)

# What Debian 12 has to have: nginx with Lua, and what the tests compare with.
# luajit2, not luajit, which conflicts with it.
PACKAGES = nginx libnginx-mod-http-lua luajit2 gcc libc6-dev curl lua-cjson \
           lua-messagepack lua-check spin wrk

# What make arm64 needs: some 250 MB, so make test does without.
ARM64_PACKAGES = gcc gcc-aarch64-linux-gnu libc6-dev libc6-dev-arm64-cross qemu-user

# What make cover looks at, and the least it takes, in percent.
COVERED     = ./ring ./shm ./server
COVER_LEAST = 85

# Tests that the emulator cannot run. EXEC: the kernel would have to start an
# arm64 program for them, as they start their own. RIGHTS: qemu does not hand
# over as many descriptors as a message can hold. TOOL: they run the go command.
ARM64_EXEC = TestWatchKilledProcess TestListenWithoutPermission TestCheckFlag TestFaultySchemaDoesNotStart \
             TestMisuse TestHelp TestThePageHasAllFlags TestVersionFlag TestDumpOfOnePlugin TestOrphan.* \
             TestStartServer TestMemoryIsRefused TestPeerCredentials TestStockPeerCredentials \
             TestStormFromAnotherProcess TestSocketActivation
ARM64_RIGHTS = TestDialDescriptors/as_many_as_can_be_sent
ARM64_TOOL = TestGeneratedFileIsUpToDate

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-kong arm64 unit race cover compat fuzz model lint generate build install deb test-deb containers clean \
        bench bench-quick bench-metrics bench-ring bench-start soak chaos hostile

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# nginx's package starts the service; nobody here asked for it. While the
# packages go in, a policy keeps it down, unless the machine has its own.
setup: ## install the Debian packages that are missing, or say which
	@command -v $(GO) >/dev/null || { echo "setup: Go is not installed: see https://go.dev/doc/install"; exit 1; }
	@missing=; for p in $(PACKAGES); do \
	  dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then \
	  echo "setup: run this first:  sudo apt-get install -y$$missing"; exit 1; \
	fi; \
	echo "setup: installing$$missing"; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
	  printf '#!/bin/sh\nexit 101\n' > $$policy && chmod +x $$policy; trap 'rm -f '$$policy EXIT; \
	fi; \
	apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

demo: setup ## the whole path on this machine, in under a minute; KEEP=1 leaves it running, HOST=kong runs a Kong
	@$(GO) run ./luabridge/demo $(if $(KEEP),-keep) $(if $(HOST),-host $(HOST))

test: setup lint unit race compat containers ## everything that CI runs

# Not from the cache: go test does not see which Lua files nginx reads.
unit: build
	$(GO) test -count=1 -timeout 10m ./...

race: build ## all Go tests under the race detector; the long ones run shorter
	$(GO) test -race -short -timeout 10m ./...

# A module of its own, with go-pdk in it, so that plugins do not require it. Not
# from the cache: go test does not see what it reads outside.
compat: build ## compare the PDK with go-pdk, symbol by symbol, and port plugins
	cd server/pdk/compat && $(GO) vet ./... && $(GO) test -count=1 ./...

# Not from the cache: go test does not see which Lua files Kong reads.
test-kong: ## the plugins in a real Kong, by the bridge and without: the command kong on PATH
	@if ! command -v kong >/dev/null; then echo "skipped: no kong on PATH"; else \
	  $(MAKE) --no-print-directory setup build && $(GO) test -v -count=1 -timeout 20m ./luabridge/kongtest; fi

arm64: ## the unit tests and the C helper as arm64 code, under qemu-user
	@$(MAKE) --no-print-directory setup PACKAGES="$(ARM64_PACKAGES)"
	@echo "skipped, the emulator cannot start their program: $(ARM64_EXEC)"
	@echo "skipped, the emulator does not hand so many descriptors over: $(ARM64_RIGHTS)"
	@echo "skipped, it runs the go command: $(ARM64_TOOL)"
	GOARCH=arm64 $(GO) test -count=1 -short -vet=off -timeout 10m -exec qemu-aarch64 \
	  -skip '$(subst $() ,|,$(patsubst %,^%$$,$(strip $(ARM64_EXEC) $(ARM64_RIGHTS) $(ARM64_TOOL))))' \
	  ./ring ./shm ./server ./server/wire ./server/schema ./server/pdk/bridge
	$(GO) test -count=1 -v -run '^TestHelper(NeedsNothing|Threads)$$/^aarch64$$' ./luabridge

cover: ## how much of ring, shm and server their short tests run: 85% at least
	@profile=$$(mktemp) && trap 'rm -f '$$profile EXIT && \
	out=$$($(GO) test -short -count=1 -coverprofile=$$profile $(COVERED) 2>&1) || { echo "$$out"; exit 1; }; \
	echo "functions below 70%:" && $(GO) tool cover -func=$$profile | awk '$$1 != "total:" && $$3 + 0 < 70' && \
	echo "$$out" | awk -v want=$(words $(COVERED)) ' \
	  $$1 == "ok" { printf "%-36s %s\n", $$2, $$5; seen++; low += $$5 + 0 < $(COVER_LEAST) } \
	  END { if (low || seen != want) { print "cover: less than $(COVER_LEAST)%"; exit 1 } }'

fuzz: ## each fuzz target for FUZZTIME (30s)
	@for target in $$(grep -rhoE '^func Fuzz[A-Za-z]+' --include='*_test.go' . | cut -c6- | sort -u); do \
	  package=$$(dirname $$(grep -rlE "^func $$target\(" --include='*_test.go' .)); \
	  echo "== $$package $$target"; \
	  $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	done

hostile: build ## millions of lies to either side, and what came of them; LIES=percent (100)
	KONGRING_HOSTILE=$(or $(LIES),100) $(GO) test -v -count=1 -timeout 60m -run 'Storm' ./server ./luabridge/e2e

model: setup ## check the Promela models of ring and sessions, and that each broken rule is found
	$(GO) test -v -count=1 ./ring/model

lint: ## gofmt, go vet, staticcheck, luacheck
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./ring ./shm ./server/...
	$(GO) tool staticcheck ./...
	luacheck -q luabridge bench

generate: ## write the generated files anew: messages, Lua and C layout, method tables
	$(GO) generate ./server/... ./luabridge/...
	$(GO) test -count=1 -run Written ./server/metrics -update
	cd server/pdk/compat && $(GO) test -count=1 -run Written ./... -update

build: $(HELPER) ## compile the C helper beside the Lua modules, and all Go code
	$(GO) build ./...

$(HELPER): luabridge/helper/kongring.c luabridge/helper/kongring_layout.h luabridge/helper/flags
	$(CC) $(HELPER_FLAGS) -o $@ $<

install: $(HELPER) ## put the bridge where Kong finds it: PREFIX (/usr/local)
	install -d $(LUADIR)/kongring
	install -m 644 luabridge/kongring/*.lua $(LUADIR)/kongring
	install -m 755 $(HELPER) $(LUADIR)/kongring

deb: ## build the Debian package into .build: bridge, helper, command, units
	@server/debian/build .build

# Installed in a copy of this machine's files, see server/debian/copy_test.go.
test-deb: ## the Debian package: the same bytes twice, lintian, installed, used and purged
	@$(MAKE) --no-print-directory setup PACKAGES="$(PACKAGES) lintian binutils"
	$(GO) test -v -count=1 ./server/debian

# A module of its own, with Kubernetes' types, so that plugins do not require them.
containers: ## check the manifests for Kubernetes, offline
	cd server/containers/check && $(GO) vet ./... && $(GO) test -count=1 ./...

bench: build ## all there is to measure, Go beside Lua and the stock way, with pictures: 12 minutes
	$(GO) run ./bench/run -picture bench/results

bench-quick: build ## the same, roughly, in under a minute; OUT=file.json
	$(GO) run ./bench/run -quick $(if $(OUT),-out $(OUT))

bench-metrics: build ## requests with metrics off and on, in turns: four minutes; ROUNDS=n (3), OUT=file.json
	$(GO) run ./bench/run -modes ring,ring-metrics $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(OUT),-out $(OUT))

bench-ring: build ## round trips through the ring beside the machine's own limit
	$(GO) run ./bench/ring

bench-start: build ## from the start of a plugin server's process to its first event, in milliseconds
	$(GO) test -run '^$$' -bench ColdStart -benchtime 30x ./server ./luabridge/e2e

soak: build ## full load for HOURS or MINUTES (10) over CARRIER (ring, or socket): memory and counters, with a picture
	$(GO) run ./bench/soak -over $(or $(CARRIER),ring) -results $(or $(RESULTS),bench/results) \
	  -length $(if $(HOURS)$(MINUTES),$(or $(HOURS),0)h$(or $(MINUTES),0)m,10m)

chaos: build ## full load for MINUTES (3) while everything that can fail does; SEED=n
	$(GO) run ./luabridge/chaos/run -minutes $(or $(MINUTES),3) $(if $(SEED),-seed $(SEED))

clean: ## remove what was built
	rm -f $(HELPER)
	$(GO) clean ./...
