# vipward: the one door to building, testing and installing. `make help` lists what there is.

export PATH := $(PATH):/usr/local/go/bin
GO      ?= go
DESTDIR ?=
PREFIX  ?= /usr
T       ?= 30s
RUN     ?=
ROUNDS  ?=
BENCH   ?=

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || cat VERSION 2>/dev/null || echo dev)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'
PLUGINS := tcp http exec execd fence-agent ipmi redfish ssh webhook mysql postgres redis nginx dns smtp udp ping grpc file mail fifo syslog alertmanager process etcd consul

# Tools are pinned and live in the work tree, each version in a folder of its own.
STATICCHECK_VERSION := v0.8.2
GOFUMPT_VERSION     := v0.12.0
GOTESTSUM_VERSION   := v1.13.0
GEN_GO_VERSION      := v1.36.12
GEN_GRPC_VERSION    := v1.6.2
STATICCHECK := .tools/staticcheck-$(STATICCHECK_VERSION)/staticcheck
GOFUMPT     := .tools/gofumpt-$(GOFUMPT_VERSION)/gofumpt
GOTESTSUM   := .tools/gotestsum-$(GOTESTSUM_VERSION)/gotestsum
GEN_GO      := .tools/protoc-gen-go-$(GEN_GO_VERSION)/protoc-gen-go
GEN_GRPC    := .tools/protoc-gen-go-grpc-$(GEN_GRPC_VERSION)/protoc-gen-go-grpc
DRIVER      := .tools/bin/driver

# AGAIN runs tests that deal with real processes: one that fails is run once more, and the summary of make test names it. More
# than three failures, or a data race, are no bad luck.
AGAIN = $(GOTESTSUM) --format pkgname --format-icons text --rerun-fails=1 --rerun-fails-max-failures=3 \
	--rerun-fails-abort-on-data-race --rerun-fails-report=.tools/again-$@ --packages

# What the laboratory needs. The guest on some processors, and the race detector, need a C compiler.
DEMO_PACKAGES := user-mode-linux kmod procps nginx-light ipvsadm nftables gcc libc6-dev
TEST_PACKAGES := $(DEMO_PACKAGES) keepalived frr iproute2 python3-grpcio python3-protobuf \
	fence-agents openipmi ipmitool openssh-server mariadb-server postgresql redis-server unbound opensmtpd python3-aiosmtpd \
	rsyslog prometheus-alertmanager etcd-server etcd-client systemd

# Packages with goroutines run under the race detector; those of pure code have none.
PURE := ./core/vrrp ./core/health ./core/heartbeat ./core/desired ./core/event ./core/node
# Packages whose tests build and run many processes; they are no part of the fast check.
SLOW := ./core/pluginhost ./sdk/conformance ./sdk/plugintest ./sdk/power ./plugins/fenceagent ./plugins/fencewebhook ./plugins/redfish \
	./plugins/exec ./plugins/nginx ./plugins/process ./cmd/vipward-plugins
# The command runs scripts, each step a process: under the race detector that takes minutes, and its goroutines are the core's.
SCRIPTS := ./cmd/vipward

.DEFAULT_GOAL := build
.PHONY: help build go driver tools fmt gen check format vet lint gen-check arch unit race processes slow tutorial own-module servers sim mutants sample test e2e interop nemesis kernel demo bench fuzz deps \
	demo-deps install clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r t h; do printf '%-12s %s\n' "$$t" "$$h"; done

go:
	@command -v $(GO) >/dev/null || { echo "go is missing: install Go 1.26 or newer from https://go.dev/dl/ to /usr/local/go, or put it on PATH" >&2; exit 1; }

build: go ## bin/vipward and the bundled plugins in bin/plugins
	@mkdir -p bin/plugins
	$(BUILD) -o bin/vipward ./cmd/vipward
	$(BUILD) -o bin/plugins/vipward-plugins ./cmd/vipward-plugins
	cd plugins/shoutrrr && $(BUILD) -o $(CURDIR)/bin/plugins/vipward-plugin-shoutrrr .
	@for p in $(PLUGINS); do ln -sf vipward-plugins bin/plugins/vipward-plugin-$$p; done

driver: go
	@mkdir -p $(dir $(DRIVER)) bin/examples
	@cd examples/checker-banner && $(BUILD) -o $(CURDIR)/bin/examples/vipward-plugin-banner .
	@$(BUILD) -o bin/examples/vipward-plugin-chaos ./tests/plugins/chaos
	@$(BUILD) -o $(DRIVER) ./tests/driver
	@cc -O2 -Wall -shared -fPIC -o $(dir $(DRIVER))xstate.so tests/lab/xstate/xstate.c

tools: go $(STATICCHECK) $(GOFUMPT) ## the pinned linter and formatter

$(STATICCHECK):
	GOBIN=$(CURDIR)/$(@D) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
$(GOTESTSUM):
	GOBIN=$(CURDIR)/$(@D) $(GO) install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
$(GOFUMPT):
	GOBIN=$(CURDIR)/$(@D) $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
$(GEN_GO):
	GOBIN=$(CURDIR)/$(@D) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go@$(GEN_GO_VERSION)
$(GEN_GRPC):
	GOBIN=$(CURDIR)/$(@D) $(GO) install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(GEN_GRPC_VERSION)

fmt: tools ## lay out the source
	$(GOFUMPT) -w cmd core examples sdk plugins tests

gen: go $(GEN_GO) $(GEN_GRPC) ## generate the plugin protocol again; needs protoc
	cd sdk/proto/v1 && $(call PROTOC,.)
	cd sdk/proto/v1 && protoc --python_out=../../../examples/checker-banner-python plugin.proto
	cp examples/checker-banner-python/plugin_pb2.py cmd/vipward/templates/python/

# PROTOC generates into the folder $(1), seen from sdk/proto/v1.
PROTOC = protoc --plugin=$(CURDIR)/$(GEN_GO) --plugin=$(CURDIR)/$(GEN_GRPC) --go_out=$(1) --go_opt=paths=source_relative \
	--go-grpc_out=$(1) --go-grpc_opt=paths=source_relative plugin.proto

check: format vet lint arch unit race gen-check ## layout, vet, lint, layering, unit tests

format: tools
	@bad=$$($(GOFUMPT) -l cmd core examples sdk plugins tests); [ -z "$$bad" ] || { echo "not laid out, run make fmt:"; echo "$$bad"; exit 1; }

vet: go
	$(GO) vet ./...
	$(GO) vet -tags lab ./core/...
	$(GO) vet -tags servers ./plugins/...
	cd plugins/shoutrrr && $(GO) vet ./...

lint: tools
	@$(GO) list ./... >/dev/null
	$(STATICCHECK) ./...

arch: go
	$(GO) test ./tests/layers

unit: go
	$(GO) test $(PURE) $(SCRIPTS) ./tests/lab/... ./tests/e2e ./tests/interop ./tests/mutants

race: go $(GOTESTSUM)
	@$(AGAIN) "$$($(GO) list ./core/... ./sdk/... ./plugins/... ./cmd/... | grep -vE '$(subst $() ,|,$(patsubst ./%,/%$$,$(PURE) $(SLOW) $(SCRIPTS)))')" -- -race

processes: go $(GOTESTSUM) ## the tests that build and run plugins: host, conformance, examples, tutorial
	@$(MAKE) --no-print-directory -j3 --output-sync=target slow tutorial own-module

slow:
	@$(AGAIN) "$(SLOW)" -- -race -p 3

tutorial:
	$(GO) test ./tests/examples

own-module:
	cd plugins/shoutrrr && $(GO) test -race ./...

servers: go $(GOTESTSUM) ## the bundled plugins against real servers, which the tests start
	@$(AGAIN) ./plugins/... -- -tags servers -count=1 -p 6 -run '$(RUN)'

sim: go ## the simulation; SEED= plays one seed, HOURS= simulated hours (40, of one seed 1), REPLAY= the scenario in a file
	@cd tests/sim && $(GO) test -count=1 -run '$(if $(REPLAY),Replay,$(if $(SEED),Worlds))' $(if $(SEED),-seed $(SEED)) $(if $(HOURS),-hours $(HOURS)) \
		$(if $(REPLAY),-replay $(abspath $(REPLAY)))

mutants: go ## each small change that makes the election wrong must be noticed; RUN=regexp picks some
	@nice -n 10 $(GO) run ./tests/mutants -run '$(RUN)'

# A few of them, others each day: all take minutes.
sample: go
	@nice -n 10 $(GO) run ./tests/mutants -sample 8

# The code is generated by one version of protoc; another one words it differently.
gen-check: go
	@if protoc --version 2>/dev/null | grep -q ' 3\.21\.12$$'; then \
		$(MAKE) --no-print-directory $(GEN_GO) $(GEN_GRPC) && out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && \
		(cd sdk/proto/v1 && $(call PROTOC,$$out)) && \
		for f in $$out/*.go; do diff -q $$f sdk/proto/v1/ || { echo "generated code is stale, run make gen"; exit 1; }; done; \
	else echo "gen-check: no protoc 3.21.12 here, the generated code is taken as it is"; fi

test: deps ## everything that CI runs; needs root on Debian
	@MAKE='$(MAKE)' tests/stages.sh check sim sample build processes servers e2e interop nemesis kernel

e2e: build driver ## the end-to-end scenarios; RUN=regexp picks some
	$(DRIVER) e2e -bin bin -run '$(RUN)'

nemesis: build driver ## what can befall a pair; ROUNDS= of each, RUN=regexp picks some, COMPARE=1 has keepalived play as well
	$(DRIVER) nemesis -bin bin -run '$(RUN)' -rounds $(or $(ROUNDS),10) $(if $(COMPARE),-compare)

interop: build driver ## the matrix with keepalived and FRR as the other router; RUN=regexp picks lines of its table
	$(DRIVER) interop -bin bin -run '$(RUN)'

# Tests of the packages with build tag lab run where the kernel has IPVS: here or in a guest.
kernel: driver
	@for dir in $$(grep -rl --include='*_test.go' '^//go:build lab' core | xargs -r -n1 dirname | sort -u); do \
		CGO_ENABLED=0 $(GO) test -c -tags lab -o .tools/bin/kernel.test ./$$dir && \
		(cd $$dir && $(CURDIR)/$(DRIVER) ipvs -- $(CURDIR)/.tools/bin/kernel.test -test.v -test.run IPVS) || exit 1; \
	done

demo: demo-deps build driver ## a pair in a lab of its own and what happens to it, told in three minutes
	@$(DRIVER) demo -bin bin

bench: deps build driver ## the code, and what it does beside keepalived; BENCH=regexp picks of code, ends, flood, instances, checks, plugin, ipvs; ROUNDS= of each (5)
	@if echo code | grep -qE '$(BENCH)'; then $(GO) test -run '^$$' -bench . -benchmem ./core/...; fi
	@[ '$(BENCH)' = code ] || $(DRIVER) bench -bin bin -run '$(BENCH)' -rounds $(or $(ROUNDS),5)

fuzz: go ## each fuzz target for T (30s)
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' core sdk); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
			$(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(T) ./$$(dirname $$f) || exit 1; \
		done; \
	done

deps: go ## the Debian packages of the tests; nothing of them is started
	@tests/packages.sh $(TEST_PACKAGES)

demo-deps: go
	@tests/packages.sh $(DEMO_PACKAGES)

install: build ## binary, plugins, unit, manual pages, completions, sample configuration below DESTDIR
	install -D -m 755 bin/vipward $(DESTDIR)$(PREFIX)/sbin/vipward
	install -D -m 755 bin/plugins/vipward-plugins $(DESTDIR)$(PREFIX)/lib/vipward/plugins/vipward-plugins
	install -m 755 bin/plugins/vipward-plugin-shoutrrr $(DESTDIR)$(PREFIX)/lib/vipward/plugins/vipward-plugin-shoutrrr
	for p in $(PLUGINS); do ln -sf vipward-plugins $(DESTDIR)$(PREFIX)/lib/vipward/plugins/vipward-plugin-$$p; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,/usr/sbin/,$(PREFIX)/sbin/,' configs/vipward.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/vipward.service
	install -D -m 644 configs/vipward.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/vipward.conf
	install -D -m 644 configs/pair-dr.hcl $(DESTDIR)$(PREFIX)/share/doc/vipward/pair-dr.hcl
	install -m 644 configs/alerts.yml $(DESTDIR)$(PREFIX)/share/doc/vipward/alerts.yml
	bin/vipward man $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)/etc/vipward $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	bin/vipward completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vipward
	bin/vipward completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_vipward
	bin/vipward completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vipward.fish

clean: ## what the build has made
	rm -rf bin .tools/bin
