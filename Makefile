.DEFAULT_GOAL := help
REQUIRE = GRANTOR_TEST_REQUIRE_REDIS=1 GRANTOR_TEST_REQUIRE_PYTHON=1 GRANTOR_TEST_REQUIRE_POSTGRES=1 GRANTOR_TEST_REQUIRE_MARIADB=1 GRANTOR_TEST_REQUIRE_PROMTOOL=1 GRANTOR_TEST_REQUIRE_NODE=1 GRANTOR_TEST_REQUIRE_PROXIES=1 GRANTOR_TEST_REQUIRE_FAKETIME=1
.PHONY: help build test race lint vuln fuzz conformance

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: ## build the binary
	CGO_ENABLED=0 go build -tags sqlite -trimpath -o bin/grantor .

test: ## run the tests
	go test ./...

race: ## run the tests as CI does, with the race detector
	$(REQUIRE) go test -race ./...

lint: ## golangci-lint and gofmt
	test -z "$$(gofmt -l .)"
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest run

vuln: ## govulncheck
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

fuzz: ## each fuzz target for half a minute
	grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r f; do \
	  for t in $$(grep -oE '^func Fuzz[A-Za-z0-9]*' $$f | sed 's/func //'); do \
	    go test ./$$(dirname $$f) -run '^$$' -fuzz "^$$t$$" -fuzztime 30s || exit 1; done; done

conformance: ## write docs/conformance.md from a run of the tests, with all that CI has
	mkdir -p bin
	$(REQUIRE) go test -race -json ./... > bin/run.json || { go run ./conformance -print bin/run.json; exit 1; }
	go run ./conformance -from bin/run.json > bin/conformance.md && mv bin/conformance.md docs/conformance.md
