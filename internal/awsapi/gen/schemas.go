package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"strings"
)

// readSchemas reads the SDK's newer form: schemas/schemas.go declares every
// shape and names its members, SerializeMembers ties Go fields to them.
func (s *service) readSchemas(src *source) error {
	type schemaMember struct {
		wire, target string
		form         string
	}
	members := map[string]schemaMember{} // "Stage_CreatedDate"
	timestamps := map[string]string{"smithyprelude.Timestamp": ""}
	var failed error
	ast.Inspect(src.schemas, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec: // var _TStamp = smithy.NewSchema(..., smithy.ShapeTypeTimestamp, ...)
			if len(n.Values) == 1 {
				if c := callTo(n.Values[0], "NewSchema"); c != nil && len(c.Args) > 1 &&
					types.ExprString(c.Args[1]) == "smithy.ShapeTypeTimestamp" {
					timestamps[n.Names[0].Name] = traitFormat(c)
				}
			}
		case *ast.AssignStmt: // Stage_CreatedDate = Stage.AddMember("CreatedDate", _Timestamp, traits...)
			c := callTo(n.Rhs[0], "AddMember")
			if c == nil {
				return true
			}
			m := schemaMember{target: types.ExprString(c.Args[1])}
			m.wire, _ = literal(c.Args[0])
			for _, trait := range c.Args[2:] {
				switch text := types.ExprString(trait); {
				case strings.Contains(text, "TimestampFormat"):
					m.form = traitFormat(c)
				case strings.Contains(text, "HTTP"), strings.Contains(text, "JSONName"):
					// The services read so far bind nothing outside the body.
					failed = fmt.Errorf("%s: trait %s", types.ExprString(n.Lhs[0]), text)
				}
			}
			members[types.ExprString(n.Lhs[0])] = m
		}
		return true
	})
	if failed != nil {
		return failed
	}
	defaultForm := ""
	for _, f := range src.functions {
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if c := callTo(n, "New11"); c != nil && len(c.Args) == 1 { // awsjson.New11(schemas.CertificateManager)
				s.protocol, defaultForm = "JSON11", "epochSeconds"
				s.targetPrefix = strings.TrimPrefix(types.ExprString(c.Args[0]), "schemas.")
			}
			return true
		})
		if name, ok := strings.CutPrefix(f.Name.Name, "addOperation"); ok {
			if name, ok := strings.CutSuffix(name, "Middlewares"); ok {
				op := s.operation(name)
				op.method, op.uri = "POST", "/"
			}
		}
	}
	for _, f := range src.functions {
		qualifier := src.qualifier[f]
		switch {
		case f.Recv != nil && f.Name.Name == "SerializeMembers":
			goType := s.goType(f.Recv.List[0].Type, qualifier)
			s.shape(goType)
			for _, statement := range f.Body.List {
				field, schema := selected(statement, "v"), selected(statement, "schemas")
				if field == "" {
					continue
				}
				known, ok := members[schema]
				if !ok {
					return fmt.Errorf("%s.%s: no schema", goType, field)
				}
				m := member{field: field, wire: known.wire, in: "inBody"}
				if form, ok := timestamps[known.target]; ok {
					m.time = defaultForm
					if form != "" {
						m.time = form
					}
					if known.form != "" {
						m.time = known.form
					}
				}
				if err := s.add(goType, m); err != nil {
					return err
				}
			}
		case f.Recv == nil && qualifier == s.name && strings.HasPrefix(f.Name.Name, "serialize") && len(f.Type.Params.List) == 3:
			if err := s.readUnion(f, func(schema string) string { return members[schema].wire }); err != nil {
				return err
			}
		}
	}
	return nil
}

// readUnion reads the serializer of a union: one case per member.
func (s *service) readUnion(f *ast.FuncDecl, wire func(schema string) string) error {
	union := types.ExprString(f.Type.Params.List[2].Type)
	if strings.HasPrefix(union, "[]") || strings.HasPrefix(union, "map[") {
		if firstCall(f.Body, "WriteTime") != nil {
			return fmt.Errorf("%s: timestamps in a list or map", f.Name.Name)
		}
		return nil
	}
	var err error
	ast.Inspect(f.Body, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok || len(clause.List) != 1 {
			return true
		}
		goType := strings.TrimPrefix(types.ExprString(clause.List[0]), "*")
		m := member{field: "Value", in: "inBody", wire: wire(selected(clause, "schemas"))}
		if firstCall(clause, "WriteTime") != nil {
			err = fmt.Errorf("%s: a timestamp in a union", goType)
			return false
		}
		if s.unions[union] == nil {
			s.unions[union] = map[string]bool{}
		}
		s.unions[union][goType] = true
		if e := s.add(goType, m); e != nil {
			err = e
		}
		return err == nil
	})
	return err
}

// traitFormat finds &smithytraits.TimestampFormat{Format: "date-time"}.
func traitFormat(n ast.Node) (form string) {
	ast.Inspect(n, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if ok && types.ExprString(kv.Key) == "Format" {
			text, _ := literal(kv.Value)
			form = map[string]string{"epoch-seconds": "epochSeconds", "date-time": "dateTime", "http-date": "httpDate"}[text]
		}
		return true
	})
	return form
}
