.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## start the gateway with local backends and an example API
	go run ./cmd/sallyport serve --quickstart

.PHONY: build
build: ## build ./bin/sallyport
	go build -trimpath -o bin/sallyport ./cmd/sallyport

.PHONY: test
test: ## run the tests; long walks at a tenth
	go test ./...

.PHONY: check
check: ## what CI runs
	bash .ci/run

.PHONY: lint
lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'not gofmt-ed'; exit 1; }
	go vet ./...
	go tool staticcheck ./...

.PHONY: generate
generate: ## rewrite generated tables and reference pages
	go generate ./...
	go test ./internal/config ./internal/controls ./internal/gateway ./internal/report ./cmd/sallyport -update
	go test ./internal/backgate -run TestVerdictsPage -update
	go test ./internal/gatewaytest -run TestFarmPage -update

.PHONY: soak
soak: ## run the long walks in full and keep their results in bench/results
	bash bench/soak.sh

.PHONY: bench
bench: ## benchmarks; with BASE=REV, compared with that revision by benchstat
	bash bench/bench.sh $(BASE)

.PHONY: sidebyside
sidebyside: ## measure beside nginx, HAProxy, Caddy, Traefik: over an hour; ARGS=-quick is two minutes
	go run ./bench/sidebyside $(ARGS)
