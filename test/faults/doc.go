// Package faults holds tests only: the built server under load while everything behind it breaks.
// Real redis-server processes are killed, paused, filled, demoted, failed over and resharded;
// clients check every answer against a model and keep a ledger of what was acknowledged. What it
// measured stands in docs/evidence/faults.md.
//
//	go test ./test/faults                                  # seconds for each fault, as in CI
//	GRANTOR_TEST_FAULTS=long go test -timeout 1h ./test/faults
//	GRANTOR_TEST_FIGURES=$PWD/bin/figures go test ./test/faults
//	go run ./test/faults/table bin/figures > docs/evidence/faults.md
//
// Tests skip without redis-server, unless GRANTOR_TEST_REQUIRE_REDIS=1.
package faults
