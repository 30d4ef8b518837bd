package reference

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// logLine is a message of level warn or error.
type logLine struct {
	message, level string
	fields         []string
	at             string
}

// levels are the functions of log/slog that write lines that matter to an operator.
var levels = map[string]string{ //nolint:gochecknoglobals // never changed
	"Warn": "warn", "WarnContext": "warn", "Error": "error", "ErrorContext": "error",
}

// logLines returns every message of level warn and error, and the places where the message is no
// constant.
func (s *Source) logLines() (lines []logLine, computed []string) {
	found := map[string]logLine{}
	s.inspect(func(p *sourcePackage, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isLogCall(p, call) || levels[callee(call)] == "" {
			return
		}
		args := call.Args
		if strings.HasSuffix(callee(call), "Context") {
			args = args[1:]
		}
		message := text(p, args[0])
		if message == "" {
			computed = append(computed, s.at(call))
			return
		}
		l := logLine{message: message, level: levels[callee(call)], at: s.at(call)}
		for i := 1; i < len(args); i += 2 {
			if name := text(p, args[i]); name != "" {
				l.fields = append(l.fields, name)
			}
		}
		found[message] = l
	})
	lines = slices.Collect(maps.Values(found))
	slices.SortFunc(lines, func(a, b logLine) int { return strings.Compare(a.message, b.message) })
	return lines, computed
}

// says whether a constant text of the code is the message, or its end.
func (s *Source) says(message string) (found bool) {
	s.inspect(func(p *sourcePackage, n ast.Node) {
		if e, ok := n.(ast.Expr); ok && !found {
			said := text(p, e)
			found = len(said) > 10 && strings.HasSuffix(message, said)
		}
	})
	return found
}
