package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// source is the parsed code of one service's module.
type source struct {
	functions []*ast.FuncDecl // of the service's own package and its types package
	schemas   *ast.File       // schemas/schemas.go, nil in modules of the older form
	qualifier map[*ast.FuncDecl]string
}

// read builds the service from the module in dir.
func read(m module, dir string) (*service, error) {
	name := path.Base(m.path)
	s := newService(name)
	src := &source{qualifier: map[*ast.FuncDecl]string{}}
	for folder, qualifier := range map[string]string{".": name, "types": "types"} {
		paths, err := filepath.Glob(filepath.Join(dir, folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range paths {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			for _, decl := range parsed.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Body != nil {
						src.functions = append(src.functions, d)
						src.qualifier[d] = qualifier
					}
				case *ast.GenDecl:
					s.declare(d, qualifier)
				}
			}
		}
	}
	if schemas := filepath.Join(dir, "schemas", "schemas.go"); exists(schemas) {
		file, err := parser.ParseFile(token.NewFileSet(), schemas, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		src.schemas = file
	}
	s.readAuth(src)
	s.readValidators(src)
	form := s.readSerializers
	if src.schemas != nil {
		form = s.readSchemas
	}
	if err := form(src); err != nil {
		return nil, err
	}
	if s.signingName == "" || s.protocol == "" || len(s.operations) == 0 {
		return nil, fmt.Errorf("protocol, signing name or operations not found")
	}
	if err := s.reduce(m); err != nil {
		return nil, err
	}
	return s, s.check()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// declare notes the exported fields of every struct, to find out later whether
// all of them were bound.
func (s *service) declare(d *ast.GenDecl, qualifier string) {
	for _, spec := range d.Specs {
		typeSpec, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		goType := qualifier + "." + typeSpec.Name.Name
		if _, ok := typeSpec.Type.(*ast.InterfaceType); ok {
			s.interfaces[goType] = true
		}
		structType, ok := typeSpec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		s.fields[goType] = []string{}
		for _, field := range structType.Fields.List {
			for _, name := range field.Names {
				if name.IsExported() {
					s.fields[goType] = append(s.fields[goType], name.Name)
					s.fieldTypes[goType+"."+name.Name] = types.ExprString(field.Type)
				}
			}
		}
	}
}

// readAuth finds the signing name, which auth.go hands to the signer.
func (s *service) readAuth(src *source) {
	for _, f := range src.functions {
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if c := callTo(n, "SetSigV4SigningName"); c != nil && len(c.Args) == 2 {
				if name, ok := literal(c.Args[1]); ok {
					s.signingName = name
				}
			}
			return true
		})
	}
}

// readValidators finds required members: validators.go names them by Go field.
func (s *service) readValidators(src *source) {
	for _, f := range src.functions {
		if !strings.HasPrefix(f.Name.Name, "validate") || f.Recv != nil || len(f.Type.Params.List) != 1 {
			continue
		}
		goType := s.goType(f.Type.Params.List[0].Type, src.qualifier[f])
		if goType == "" {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if c := callTo(n, "NewErrParamRequired"); c != nil {
				if field, ok := literal(c.Args[0]); ok {
					if s.required[goType] == nil {
						s.required[goType] = map[string]bool{}
					}
					s.required[goType][field] = true
				}
			}
			return true
		})
	}
}

// goType names the struct that a parameter points to, "types.Stage" or
// "apigateway.GetStageInput"; empty for lists, maps and scalars.
func (s *service) goType(e ast.Expr, qualifier string) string {
	star, ok := e.(*ast.StarExpr)
	if !ok {
		return ""
	}
	if again, ok := star.X.(*ast.StarExpr); ok {
		star = again
	}
	switch t := star.X.(type) {
	case *ast.Ident:
		return qualifier + "." + t.Name
	case *ast.SelectorExpr:
		return types.ExprString(t)
	}
	return ""
}

// callTo returns n as a call whose function or method has one of the names.
func callTo(n ast.Node, names ...string) *ast.CallExpr {
	c, ok := n.(*ast.CallExpr)
	if !ok {
		return nil
	}
	called := ""
	switch f := c.Fun.(type) {
	case *ast.Ident:
		called = f.Name
	case *ast.SelectorExpr:
		called = f.Sel.Name
	}
	for _, name := range names {
		if called == name {
			return c
		}
	}
	return nil
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// firstCall returns the first call under n to one of the names.
func firstCall(n ast.Node, names ...string) (found *ast.CallExpr) {
	ast.Inspect(n, func(n ast.Node) bool {
		if c := callTo(n, names...); c != nil && found == nil {
			found = c
		}
		return found == nil
	})
	return found
}

// selected returns the first field of the variable that n touches: for v,
// "Name" in `if v.Name != nil {...}`.
func selected(n ast.Node, variable string) (field string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && field == "" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == variable {
				field = sel.Sel.Name
			}
		}
		return field == ""
	})
	return field
}

// firstLiteral returns the first string literal under n.
func firstLiteral(n ast.Node) (text string, found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && !found {
			text, found = literal(e)
		}
		return !found
	})
	return text, found
}

// timeForms maps the SDK's formatters and parsers to the constants of awsapi.
var timeForms = map[string]string{
	"FormatEpochSeconds": "epochSeconds", "ParseEpochSeconds": "epochSeconds",
	"FormatDateTime": "dateTime", "ParseDateTime": "dateTime",
	"FormatHTTPDate": "httpDate", "ParseHTTPDate": "httpDate",
}

func timeForm(n ast.Node) (form string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && form == "" {
			form = timeForms[sel.Sel.Name]
		}
		return form == ""
	})
	return form
}
