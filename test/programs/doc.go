// Package programs holds tests only: programs of Debian that nobody here wrote take the tokens of
// the built server over TLS. Their configurations are those of docs/guides/programs.md, from
// examples/programs.
//
// Tests skip without a program, unless GRANTOR_TEST_REQUIRE_PROGRAMS=1.
package programs
