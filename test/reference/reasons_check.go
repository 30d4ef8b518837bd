package reference

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// answerOf returns the answer that the code gives for a reason; "": the code does not say one.
func (f *found) answerOf(reason string) string {
	return strings.Join(slices.Sorted(maps.Keys(f.reasons[reason])), ", ")
}

// complaints compares the reasons of the code with those that are explained.
func (f *found) complaints() (list []string) {
	list = append(list, f.strays...)
	known := map[string]reason{}
	for _, r := range reasons() {
		if _, twice := known[r.name]; twice {
			list = append(list, "test/reference/reasons.go: "+strconv.Quote(r.name)+" is there twice")
		}
		known[r.name] = r
		if r.cause == "" || r.cure == "" {
			list = append(list, "test/reference/reasons.go: "+strconv.Quote(r.name)+" needs a cause and a cure")
		}
		if f.reasons[r.name] == nil {
			list = append(list, "test/reference/reasons.go: no code emits the reason "+strconv.Quote(r.name)+": strike it")
		}
		if derived := f.answerOf(r.name); derived != "" && r.answer != "" && derived != r.answer {
			list = append(list, fmt.Sprintf("test/reference/reasons.go: %q: the code answers %q and not %q", r.name, derived, r.answer))
		} else if derived == "" && r.answer == "" {
			list = append(list, "test/reference/reasons.go: "+strconv.Quote(r.name)+" needs its answer, status and code: the scan does not find it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.reasons)) {
		if _, ok := known[name]; !ok {
			list = append(list, "the reason "+strconv.Quote(name)+" has no cause and cure: add them to test/reference/reasons.go")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.codes)) {
		if !slices.ContainsFunc(codes(), func(c code) bool { return c.name == name }) {
			list = append(list, "the error code "+strconv.Quote(name)+" has no cause and cure: add them to test/reference/codes.go")
		}
	}
	for _, c := range codes() {
		if !f.codes[c.name] {
			list = append(list, "test/reference/codes.go: no code answers "+strconv.Quote(c.name)+": strike it")
		}
	}
	return list
}
