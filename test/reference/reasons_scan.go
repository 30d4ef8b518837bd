package reference

import (
	"go/ast"
	"go/constant"
	"go/types"
	"strings"
)

// found are the reasons and error codes that the code can emit.
type found struct {
	reasons map[string]map[string]bool // reason → answers ("401 invalid_client") that the code says of it
	codes   map[string]bool
	strays  []string // places where a reason is no constant of a type
}

// hidden are reasons that nobody sees: what a package tells itself.
var hidden = map[string]bool{"late": true} //nolint:gochecknoglobals // never changed

// converted are the functions that may make a reason of a text: why the text is a known one.
var converted = map[string]string{ //nolint:gochecknoglobals // never changed
	"tokens.readDecision":     "rotate.lua answers with the constants that it is given",
	"server.(Server).refuse":  "an error without a reason is named by its code",
	"server.(*Server).refuse": "an error without a reason is named by its code",
	"server.proofRefused":     "a reason of package dpop is one of its constants",
}

// answersOfTypes are the answers of reasons that say the answer by their type.
var answersOfTypes = map[string]string{ //nolint:gochecknoglobals // never changed
	"clients.AuthReason":                  "401 invalid_client",
	"internal/assertions.RejectionReason": "401 invalid_client",
	"tokens.Reason":                       "400 invalid_grant",
	"users.LoginReason":                   "400 invalid_grant",
}

// answersOfFunctions are the answers of reasons that a function is given.
var answersOfFunctions = map[string]string{ //nolint:gochecknoglobals // never changed
	"unavailable":      "503 temporarily_unavailable",
	"errWrongPassword": "400 invalid_grant",
}

func typeName(t types.Type) string { return strings.TrimPrefix(types.Unalias(t).String(), module+"/") }

// emitted finds every reason and every error code in the code.
func (s *Source) emitted() *found {
	f := &found{reasons: map[string]map[string]bool{}, codes: map[string]bool{}}
	for _, p := range s.packages {
		for _, file := range p.files {
			for _, d := range file.Decls {
				in := ""
				if fn, ok := d.(*ast.FuncDecl); ok {
					in = p.path + "." + receiverOf(fn) + fn.Name.Name
				}
				ast.Inspect(d, func(n ast.Node) bool {
					f.look(s, p, in, n)
					return true
				})
			}
		}
	}
	return f
}

func receiverOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	return "(" + types.ExprString(fn.Recv.List[0].Type) + ")."
}

// look takes what one node of the syntax says.
func (f *found) look(s *Source, p *sourcePackage, in string, n ast.Node) {
	switch n := n.(type) {
	case *ast.CompositeLit:
		f.literal(s, p, n)
	case *ast.CallExpr:
		f.call(s, p, in, n)
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if sel, ok := left.(*ast.SelectorExpr); ok && len(n.Rhs) == len(n.Lhs) && isTrailReason(p.info.TypeOf(sel.X), sel.Sel.Name) {
				f.text(s, p, n.Rhs[i])
			}
		}
	case *ast.StructType:
		for _, field := range n.Fields.List {
			for _, name := range field.Names {
				plain := types.Identical(p.info.TypeOf(field.Type), types.Typ[types.String])
				if strings.EqualFold(name.Name, "reason") && plain && p.path != "internal/audit" {
					f.strays = append(f.strays, s.at(name)+": the field "+name.Name+" is a string: give it a type …Reason, so that its values are found")
				}
			}
		}
	}
	if e, ok := n.(ast.Expr); ok {
		if tv := p.info.Types[e]; tv.Value != nil && isReason(tv.Type) {
			f.add(constant.StringVal(tv.Value), answersOfTypes[typeName(tv.Type)])
		}
	}
}

func (f *found) add(reason, answer string) {
	if reason == "" || hidden[reason] {
		return
	}
	if f.reasons[reason] == nil {
		f.reasons[reason] = map[string]bool{}
	}
	if answer != "" {
		f.reasons[reason][answer] = true
	}
}

// isReason says whether a type is one of reasons: a named string of ours, …Reason.
func isReason(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || !strings.HasPrefix(named.Obj().Pkg().Path(), module) {
		return false
	}
	basic, ok := named.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0 && strings.HasSuffix(named.Obj().Name(), "Reason")
}

// isTrailReason says whether a field is the reason of an event of the audit trail.
func isTrailReason(t types.Type, field string) bool {
	if t == nil || field != "Reason" {
		return false
	}
	return strings.HasSuffix(strings.TrimPrefix(t.String(), "*"), "/internal/audit.Event")
}

// literal takes the reason of an event, and reason, code and status of an Error.
func (f *found) literal(s *Source, p *sourcePackage, lit *ast.CompositeLit) {
	t := p.info.TypeOf(lit)
	members := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				members[key.Name] = kv.Value
			}
		}
	}
	if value := members["Reason"]; value != nil && isTrailReason(t, "Reason") {
		f.text(s, p, value)
	}
	for _, key := range []string{"Code", "code"} {
		if code := text(p, members[key]); code != "" && strings.HasPrefix(t.String(), module) {
			f.codes[code] = true
		}
	}
	if t.String() != module+"/server.Error" {
		return
	}
	code, reason := text(p, members["Code"]), text(p, members["Reason"])
	status := map[bool]string{true: "401", false: "400"}[code == "invalid_client"]
	if e := members["Status"]; e != nil {
		status = ""
		if v := p.info.Types[e].Value; v != nil {
			status = v.ExactString()
		}
	}
	if reason != "" && code != "" && status != "" {
		f.add(reason, status+" "+code)
	}
}

// text is the value of a constant text, "" of anything else.
func text(p *sourcePackage, e ast.Expr) string {
	if e == nil {
		return ""
	}
	v := p.info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return ""
	}
	return constant.StringVal(v)
}

// call takes conversions to reasons, and constants that are given for a parameter reason or code.
func (f *found) call(s *Source, p *sourcePackage, in string, call *ast.CallExpr) {
	fun := p.info.Types[call.Fun]
	if fun.IsType() && isReason(fun.Type) && len(call.Args) == 1 {
		arg := p.info.Types[call.Args[0]]
		if arg.Value == nil && !isReason(arg.Type) && converted[in] == "" {
			f.strays = append(f.strays, s.at(call)+": a text becomes a reason here; use constants")
		}
		return
	}
	f.logged(s, p, call)
	sig, ok := fun.Type.(*types.Signature)
	if !ok {
		return
	}
	for i := range min(len(call.Args), sig.Params().Len()) {
		name, value := sig.Params().At(i).Name(), text(p, call.Args[i])
		switch {
		case value == "":
		case name == "code":
			f.codes[value] = true
		case name == "reason" && ownFunction(p, call):
			f.add(value, answersOfFunctions[callee(call)])
		}
	}
}

// ownFunction says whether a function of the module is called.
func ownFunction(p *sourcePackage, call *ast.CallExpr) bool {
	var id *ast.Ident
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return false
	}
	o := p.info.Uses[id]
	return o != nil && o.Pkg() != nil && strings.HasPrefix(o.Pkg().Path(), module)
}

func callee(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// logged takes the value that follows the key "reason" in a call of a logger.
func (f *found) logged(s *Source, p *sourcePackage, call *ast.CallExpr) {
	for i, arg := range call.Args {
		if i+1 < len(call.Args) && text(p, arg) == "reason" && isLogCall(p, call) {
			f.text(s, p, call.Args[i+1])
		}
	}
}

// isLogCall says whether a function or method of log/slog is called.
func isLogCall(p *sourcePackage, call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	o := p.info.Uses[sel.Sel]
	return o != nil && o.Pkg() != nil && o.Pkg().Path() == "log/slog"
}

// text takes a reason that is written as a text: a constant, or string(…) of a reason.
func (f *found) text(s *Source, p *sourcePackage, e ast.Expr) {
	if value := text(p, e); value != "" {
		f.add(value, "")
		return
	}
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 && isReason(p.info.TypeOf(call.Args[0])) {
		return
	}
	f.strays = append(f.strays, s.at(e)+": this reason is a text; make it a constant, or string(…) of a …Reason")
}
