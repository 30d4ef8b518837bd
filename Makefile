.DEFAULT_GOAL := help
REQUIRE = GRANTOR_TEST_REQUIRE_REDIS=1 GRANTOR_TEST_REQUIRE_PYTHON=1 GRANTOR_TEST_REQUIRE_POSTGRES=1 GRANTOR_TEST_REQUIRE_MARIADB=1 GRANTOR_TEST_REQUIRE_PROMTOOL=1 GRANTOR_TEST_REQUIRE_NODE=1 GRANTOR_TEST_REQUIRE_CHROMIUM=1 GRANTOR_TEST_REQUIRE_PROXIES=1 GRANTOR_TEST_REQUIRE_FAKETIME=1
.PHONY: help build test race lint sec vuln dead survey fuzz conformance kubernetes packages site

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: ## build the binary
	CGO_ENABLED=0 go build -tags sqlite -trimpath -o bin/grantor .

test: ## run the tests; the end says how many did not run, and for want of which program
	mkdir -p bin
	go test -json ./... > bin/test.json; status=$$?; go run ./test/conformance -print bin/test.json; exit $$status

race: ## run the tests as CI does, with the race detector
	$(REQUIRE) go test -race ./...

lint: ## golangci-lint and gofmt
	test -z "$$(gofmt -l .)"
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest run

sec: ## gosec: mistakes that endanger; without exceptions that have no reason
	go build -C test/tools -o ../../bin/ ./gosec
	bin/gosec -tags sqlite ./...

vuln: ## govulncheck: known vulnerabilities that the code reaches, those of the Go installed too
	go build -C test/tools -o ../../bin/ ./vulns
	bin/vulns -tags sqlite ./...

dead: ## functions that nobody calls
	go build -C test/tools -o ../../bin/ golang.org/x/tools/cmd/deadcode
	bin/deadcode -tags sqlite ./...

survey: ## how the house reads: lengths, comments, names with two meanings
	go run -C test/tools ./survey

fuzz: ## each fuzz target for half a minute
	go build -C test/tools -o ../../bin/ ./fuzz
	bin/fuzz -time 30s

conformance: ## write docs/evidence/conformance.md from a run of the tests, with all that CI has
	mkdir -p bin
	$(REQUIRE) go test -race -json ./... > bin/run.json || { go run ./test/conformance -print bin/run.json; exit 1; }
	go test -C test/tools -json ./... >> bin/run.json
	go run ./test/conformance -from bin/run.json > bin/conformance.md && mv bin/conformance.md docs/evidence/conformance.md

kubernetes: ## write deploy/kubernetes/grantor.yaml from the chart in deploy/helm
	go run -C deploy/helm/test .

packages: build ## the deb and the rpm of this source in bin/, with a version that is older than every release's
	go run -C test/release ./assets -version 0.0.0 -output ../../bin/release
	go run -C test/release ./pack -root ../.. -binary ../../bin/grantor -version 0.0.0 -output ../../bin deb rpm

site: ## build the documents as a site in bin/site; SITE_BASE=/grantor/ is its path, if it is not /
	npm --prefix site ci --ignore-scripts --no-audit --no-fund
	npm --prefix site run build
