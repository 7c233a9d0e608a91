SHELL := /bin/bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FRONT := $(shell find frontend -path frontend/node_modules -prune -o -path frontend/dist -prune -o -type f -print)

.PHONY: help demo build test check storm bench chaos clean front tools generate unit browser

help: ## List all targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: build tools ## Start everything on loopback; SMOKE=1 runs the main job through Chromium once on every CRM
ifdef SMOKE
	bin/dealpay demo --smoke "node frontend/browser/smoke.mjs"
else
	bin/dealpay demo
endif

build: front ## Build the front end and bin/dealpay
	$(GO) build -ldflags "-X main.version=$(VERSION)" -o bin/dealpay ./app

# payments/state is pure and has nothing to race for; under the detector its exhaustive proof takes five times as long.
test: build tools check unit browser ## Everything CI runs
	$(GO) test ./payments/state
	bin/dealpay with-stores -- $(GO) test -race -timeout 12m $$($(GO) list ./... | grep -v payments/state$$)

check: build ## Format, vet, lint, types, import rules, generated files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt these:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(LINT) run
	$(GO) generate ./widgets/api && git diff --exit-code -- widgets/api
	cd frontend && npm run --silent types && git diff --exit-code -- src/api.gen.ts
	cd frontend && npm run --silent check && npm run --silent budget

unit: front ## Front-end unit tests
	cd frontend && npm test

browser: build tools ## The main job, and what else people meet, in real Chromium on all three CRMs
	bin/dealpay demo --dir .dealpay/browser --smoke "node frontend/browser/all.mjs"

storm: build tools ## 10,000 random payments through every acquirer and its misbehaving double; the books must agree. SEED=n repeats
	DEALPAY_STORM_PAYMENTS=10000 DEALPAY_STORM_SEED=$(SEED) bin/dealpay with-stores -- \
		$(GO) test -v -count 1 -timeout 90m -parallel 7 -run TestNoMisbehaviourOfAnAcquirerCostsAUnit ./payments

bench: build tools ## The benchmark table, also as JSON lines in bench/out.jsonl
	@mkdir -p bench
	bin/dealpay bench --out bench/out.jsonl

chaos: build tools ## The fault run: kills, Redis loss, Postgres restart, CRM outage
	bin/dealpay chaos

front: frontend/dist/card.html

frontend/node_modules/.package-lock.json: frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund

frontend/dist/card.html: frontend/node_modules/.package-lock.json $(FRONT)
	cd frontend && npm run build
	@touch $@

tools: ## Install PostgreSQL, Redis and Chromium where they are missing (Debian)
	@./tools.sh

generate: ## Make the API's types again
	$(GO) generate ./widgets/api
	cd frontend && npm run types

clean: ## Remove what was built and all private stores
	-@[ -x bin/dealpay ] && bin/dealpay discard .dealpay/demo .dealpay/test .dealpay/browser .dealpay/bench .dealpay/chaos
	rm -rf bin bench .dealpay frontend/dist/assets frontend/dist/*.html frontend/dist/*.js frontend/dist/*.css
