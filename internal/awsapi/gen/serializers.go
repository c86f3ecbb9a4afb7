package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// protocols are the older form's function prefixes.
var protocols = []struct{ prefix, protocol string }{
	{"awsRestjson1_", "RESTJSON"},
	{"awsAwsjson11_", "JSON11"},
	{"awsAwsquery_", "Query"},
}

// readSerializers reads the SDK's older form: one hand-unrolled function per
// shape in serializers.go and deserializers.go.
func (s *service) readSerializers(src *source) error {
	prefix := ""
	for _, f := range src.functions {
		for _, p := range protocols {
			if strings.HasPrefix(f.Name.Name, p.prefix) {
				prefix, s.protocol = p.prefix, p.protocol
			}
		}
	}
	lists := map[string]string{} // serializer of a list to its element's name
	for _, f := range src.functions {
		if strings.HasPrefix(f.Name.Name, prefix+"serializeDocument") {
			if c := firstCall(f.Body, "Array"); c != nil && len(c.Args) == 1 {
				lists[f.Name.Name], _ = literal(c.Args[0])
			}
		}
	}
	for _, f := range src.functions {
		name := strings.TrimPrefix(f.Name.Name, prefix)
		var err error
		switch {
		case f.Recv != nil && (f.Name.Name == "HandleSerialize" || f.Name.Name == "HandleDeserialize"):
			receiver := strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*")
			if op, ok := strings.CutPrefix(receiver, prefix+"serializeOp"); ok {
				err = s.readRequest(op, f)
			} else if op, ok := strings.CutPrefix(receiver, prefix+"deserializeOp"); ok {
				err = s.readAnswer(op, f)
			}
		case f.Recv != nil || name == f.Name.Name:
		case strings.HasPrefix(name, "serializeOpHttpBindings"):
			err = s.readHTTPInput(f, src)
		case strings.HasPrefix(name, "serializeOpDocument"), strings.HasPrefix(name, "serializeDocument"):
			err = s.readDocumentInput(f, src, lists)
		case strings.HasPrefix(name, "deserializeOpHttpBindings"):
			err = s.readHTTPOutput(f, src)
		case strings.HasPrefix(name, "deserializeOpDocument"), strings.HasPrefix(name, "deserializeDocument"):
			err = s.readDocumentOutput(f, src)
		case strings.HasPrefix(name, "deserializeOpError"):
			op := s.operation(strings.TrimPrefix(name, "deserializeOpError"))
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if c := callTo(n, "EqualFold"); c != nil {
					if code, ok := literal(c.Args[0]); ok {
						op.errors = append(op.errors, code)
					}
				}
				return true
			})
			slices.Sort(op.errors)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name.Name, err)
		}
	}
	return nil
}

func (s *service) operation(name string) *operation {
	if s.operations[name] == nil {
		s.operations[name] = &operation{success: 200}
	}
	return s.operations[name]
}

// readRequest reads HandleSerialize of an operation: method, URI, the Query
// protocol's version, and the member that is the body itself.
func (s *service) readRequest(name string, f *ast.FuncDecl) error {
	op := s.operation(name)
	op.method, op.uri = "POST", "/"
	if c := firstCall(f.Body, "SplitURI"); c != nil {
		uri, ok := literal(c.Args[0])
		if at := strings.Index(uri, "+}"); !ok || at >= 0 && at != len(uri)-2 {
			return fmt.Errorf("%s: a URI of a form that awsapi does not route: %q", name, uri)
		}
		op.uri, op.query, _ = strings.Cut(uri, "?")
	}
	var err error
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok && sel.Sel.Name == "Method" {
				if method, ok := literal(n.Rhs[0]); ok {
					op.method = method
				}
			}
		case *ast.CallExpr:
			// body.Key("Version").String("2011-06-15") and
			// encoder.SetHeader("X-Amz-Target").String("Prefix.Operation")
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "String" || len(n.Args) != 1 {
				return true
			}
			inner, ok := sel.X.(*ast.CallExpr)
			if !ok || len(inner.Args) != 1 {
				return true
			}
			key, _ := literal(inner.Args[0])
			value, _ := literal(n.Args[0])
			switch key {
			case "Version":
				s.version = value
			case "X-Amz-Target":
				s.targetPrefix, _, _ = strings.Cut(value, ".")
			}
		}
		return true
	})
	if field := selected(f.Body, "input"); field != "" {
		err = s.add(s.name+"."+name+"Input", member{field: field, in: "inPayload"})
	}
	return err
}

// readAnswer reads HandleDeserialize: the member that is the body itself, and
// the Query protocol's result element.
func (s *service) readAnswer(name string, f *ast.FuncDecl) error {
	if c := firstCall(f.Body, "GetElement"); c != nil {
		s.operation(name).wrapper, _ = literal(c.Args[0])
	}
	if field := selected(f.Body, "output"); field != "" {
		return s.add(s.name+"."+name+"Output", member{field: field, in: "inPayload"})
	}
	return nil
}

func (s *service) readHTTPInput(f *ast.FuncDecl, src *source) error {
	goType := s.goType(f.Type.Params.List[0].Type, src.qualifier[f])
	for _, statement := range f.Body.List[1:] { // [0] refuses a nil v
		field := selected(statement, "v")
		if field == "" {
			continue
		}
		m := member{field: field, time: timeForm(statement)}
		c := firstCall(statement, "SetURI", "SetQuery", "AddQuery", "SetHeader", "AddHeader", "Headers")
		if c == nil {
			continue // refusal of an empty URI member
		}
		wire, isLiteral := literal(c.Args[0])
		switch c.Fun.(*ast.SelectorExpr).Sel.Name {
		case "SetURI":
			m.in = "inURI"
		case "SetQuery", "AddQuery":
			m.in = "inQuery"
			if !isLiteral {
				m.in = "inQueryRest"
			}
		case "SetHeader", "AddHeader":
			m.in = "inHeader"
			if !isLiteral {
				wire, _ = firstLiteral(statement) // locationName := "Accept"
			}
		case "Headers":
			return fmt.Errorf("%s.%s: awsapi has no prefixed headers", goType, field)
		}
		m.wire = wire
		if err := s.add(goType, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) readDocumentInput(f *ast.FuncDecl, src *source, lists map[string]string) error {
	goType := s.goType(f.Type.Params.List[0].Type, src.qualifier[f])
	if union := types.ExprString(f.Type.Params.List[0].Type); s.interfaces[union] {
		return s.readOldUnion(union, f)
	}
	if goType == "" { // lists and maps need no table
		return nil
	}
	s.shape(goType)
	for _, statement := range f.Body.List {
		field := selected(statement, "v")
		c := firstCall(statement, "Key")
		if field == "" || c == nil {
			continue
		}
		m := member{field: field, in: "inBody", time: timeForm(statement)}
		m.wire, _ = literal(c.Args[0])
		ast.Inspect(statement, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if fun, ok := c.Fun.(*ast.Ident); ok && lists[fun.Name] != "" {
					m.item = lists[fun.Name]
				}
			}
			return true
		})
		if err := s.add(goType, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) readHTTPOutput(f *ast.FuncDecl, src *source) error {
	goType := s.goType(f.Type.Params.List[0].Type, src.qualifier[f])
	for _, statement := range f.Body.List[1:] {
		field := selected(statement, "v")
		if field == "" {
			continue
		}
		m := member{field: field, time: timeForm(statement)}
		if c := firstCall(statement, "Values"); c != nil {
			m.in = "inHeader"
			m.wire, _ = literal(c.Args[0])
		} else if strings.Contains(types.ExprString(statementExpr(statement)), "StatusCode") {
			m.in = "inStatus"
		}
		if err := s.add(goType, m); err != nil {
			return err
		}
	}
	return nil
}

func statementExpr(n ast.Stmt) ast.Expr {
	if a, ok := n.(*ast.AssignStmt); ok {
		return a.Rhs[0]
	}
	return ast.NewIdent("_")
}

// readDocumentOutput reads a deserializer: in JSON `case "name":`, in XML
// `case strings.EqualFold("Name", t.Name.Local):`, each followed by the field
// of sv that is set.
func (s *service) readDocumentOutput(f *ast.FuncDecl, src *source) error {
	params := f.Type.Params.List
	goType := s.goType(params[0].Type, src.qualifier[f])
	if goType == "" {
		if s.protocol == "Query" {
			return fmt.Errorf("lists in XML answers")
		}
		return nil
	}
	if s.interfaces[goType] {
		return s.readOldUnion(goType, f)
	}
	if strings.HasPrefix(types.ExprString(params[1].Type), "io.Read") { // the body as it is
		if field := selected(f.Body, "v"); field != "" {
			return s.add(goType, member{field: field, in: "inPayload"})
		}
	}
	s.shape(goType)
	var err error
	ast.Inspect(f.Body, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok || err != nil || len(clause.List) == 0 {
			return err == nil
		}
		wire, ok := firstLiteral(clause.List[0])
		if !ok {
			return true
		}
		body := &ast.BlockStmt{List: clause.Body}
		m := member{field: selected(body, "sv"), wire: wire, in: "inBody", time: timeForm(body)}
		if m.field != "" {
			err = s.add(goType, m)
		}
		return m.field == ""
	})
	return err
}

// readOldUnion reads a union's serializer or deserializer: one case per member,
// which names the member's type and its name on the wire, in either order.
func (s *service) readOldUnion(union string, f *ast.FuncDecl) error {
	var err error
	ast.Inspect(f.Body, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok || len(clause.List) != 1 {
			return err == nil
		}
		goType, wire := "", ""
		if text, ok := literal(clause.List[0]); ok { // case "Boolean": ... uv = &types.XMemberBoolean{Value: mv}
			wire = text
			ast.Inspect(clause, func(n ast.Node) bool {
				if c, ok := n.(*ast.CompositeLit); ok && strings.HasPrefix(types.ExprString(c.Type), union+"Member") {
					goType = types.ExprString(c.Type)
				}
				return true
			})
		} else if text := strings.TrimPrefix(types.ExprString(clause.List[0]), "*"); strings.HasPrefix(text, union+"Member") {
			goType = text
			if c := firstCall(clause, "Key"); c != nil {
				wire, _ = firstLiteral(c.Args[0])
			}
		}
		if goType == "" {
			return err == nil
		}
		if s.unions[union] == nil {
			s.unions[union] = map[string]bool{}
		}
		s.unions[union][goType] = true
		err = s.add(goType, member{field: "Value", in: "inBody", wire: wire})
		return false
	})
	return err
}
