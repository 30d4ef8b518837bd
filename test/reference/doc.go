// Package reference writes docs/reference from the code: what the code knows is never typed twice.
// `go run ./test/reference/write` writes the pages; TestReference of test/conformance fails while
// a page says something else than the code.
//
// What the code cannot know, people write here: reasons.go and codes.go (cause and cure),
// metrics.go (what is normal), logs.go (what to do). Each of them must be complete.
//
// The package belongs to the tests. No part of it is in the binary.
package reference
