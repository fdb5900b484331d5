// Package layers checks the shape of the code: which package may import which, and what pure code must not do.
package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/vipward/vipward/"

// pure packages decide; they may use one another and these value packages of the standard library.
var (
	pure = []string{"core/vrrp", "core/health", "core/guard", "core/heartbeat", "core/desired", "core/event", "core/node"}

	pureImports = []string{
		"bytes", "cmp", "container/heap", "crypto/hmac", "crypto/sha256", "crypto/subtle", "encoding/binary", "errors", "fmt", "iter", "maps",
		"math", "math/bits", "net/netip", "slices", "strconv", "strings", "time", "unicode/utf8",
	}
	// What the value packages offer besides values: clocks, timers, the terminal.
	impure = []string{
		"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker",
		"time.Tick", "fmt.Print", "fmt.Println", "fmt.Printf",
	}

	shell = []string{"core/wire", "core/kernel", "core/pluginhost", "core/control", "core/metrics", "core/outbox", "core/witness"}
)

// mayImport says what each layer may import of this module; a package that fits no rule may import nothing of ours.
func mayImport(pkg, imported string) bool {
	isPure := func(p string) bool { return slices.Contains(pure, p) }
	isSDK := imported == "sdk" || strings.HasPrefix(imported, "sdk/")
	switch {
	case isPure(pkg):
		return isPure(imported)
	case pkg == "core/config":
		return isPure(imported) || imported == "sdk/proto/v1"
	case pkg == "core/inbound": // what the shell packages that read sockets have in common
		return false
	case slices.Contains(shell, pkg):
		return isPure(imported) || imported == "core/config" || imported == "core/inbound" || isSDK
	case pkg == "core/engine":
		return strings.HasPrefix(imported, "core/") || imported == "sdk/proto/v1"
	case pkg == "cmd/vipward":
		return strings.HasPrefix(imported, "core/") || isSDK
	case pkg == "cmd/vipward-plugins":
		return strings.HasPrefix(imported, "plugins/") || isSDK
	case pkg == "sdk" || strings.HasPrefix(pkg, "sdk/"):
		return isSDK
	case strings.HasPrefix(pkg, "plugins/"):
		return isSDK
	}
	return strings.HasPrefix(pkg, "tests/") || strings.HasPrefix(pkg, "examples/")
}

func TestImportsPointDownOnly(t *testing.T) {
	each(t, func(t *testing.T, pkg string, f *ast.File) {
		for _, s := range f.Imports {
			imported := strings.Trim(s.Path.Value, `"`)
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && ours != pkg && !mayImport(pkg, ours) {
				t.Errorf("%s must not import %s", pkg, ours)
			}
			if strings.HasPrefix(imported, "github.com/hashicorp/hcl") && pkg != "core/config" && pkg != "cmd/vipward" {
				t.Errorf("%s imports HCL; only core/config reads it (and the command fmt lays it out)", pkg)
			}
		}
	})
}

func TestPurePackagesHaveNoEffects(t *testing.T) {
	each(t, func(t *testing.T, pkg string, f *ast.File) {
		if !slices.Contains(pure, pkg) {
			return
		}
		for _, s := range f.Imports {
			imported := strings.Trim(s.Path.Value, `"`)
			if !strings.HasPrefix(imported, module) && !slices.Contains(pureImports, imported) {
				t.Errorf("%s is pure and must not import %s", pkg, imported)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s is pure and must not start a goroutine", pkg)
			case *ast.ChanType, *ast.SelectStmt:
				t.Errorf("%s is pure and must not use channels", pkg)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure, x.Name+"."+n.Sel.Name) {
					t.Errorf("%s is pure and must not call %s.%s", pkg, x.Name, n.Sel.Name)
				}
			}
			return true
		})
		noGlobals(t, pkg, f)
	})
}

// noGlobals lets a pure package have errors and tables that nobody writes to, but no state: a variable at package level is
// an error value, or a composite literal.
func noGlobals(t *testing.T, pkg string, f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, name := range v.Names {
				if name.Name != "_" && (i >= len(v.Values) || !isConstant(v.Values[i])) {
					t.Errorf("%s is pure and must not have the variable %s at package level", pkg, name.Name)
				}
			}
		}
	}
}

func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		return ok && (s.Sel.Name == "New" || strings.HasPrefix(s.Sel.Name, "Must") || strings.HasPrefix(s.Sel.Name, "AddrFrom"))
	}
	return false
}

// each calls f for every source file of the module that is not a test.
func each(t *testing.T, f func(t *testing.T, pkg string, file *ast.File)) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		files++
		f(t, path.Dir(filepath.ToSlash(rel)), parsed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d source files found: the test looks in the wrong place", files)
	}
}
