.DEFAULT_GOAL := help
.PHONY: help build test race lint vuln fuzz conformance

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: ## build the binary
	CGO_ENABLED=0 go build -trimpath -o bin/grantor .

test: ## run the tests
	go test ./...

race: ## run the tests on real Redis with the race detector
	GRANTOR_TEST_REQUIRE_REDIS=1 go test -race ./...

lint: ## golangci-lint and gofmt
	test -z "$$(gofmt -l .)"
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest run

vuln: ## govulncheck
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

fuzz: ## each fuzz target for half a minute
	grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r f; do \
	  for t in $$(grep -oE '^func Fuzz[A-Za-z0-9]*' $$f | sed 's/func //'); do \
	    go test ./$$(dirname $$f) -run '^$$' -fuzz "^$$t$$" -fuzztime 30s || exit 1; done; done

conformance: ## write docs/conformance.md from a run of the tests
	GRANTOR_TEST_REQUIRE_REDIS=1 go test -json ./... > /tmp/grantor-tests.json || true
	go run ./conformance -from /tmp/grantor-tests.json > docs/conformance.md
