package dhcp

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The protocol core is told the time and what arrived. What it must not reach
// for by itself is listed here: whole packages, and names by prefix in packages
// that also have harmless ones.
var (
	impureImports = []string{"os", "os/", "syscall", "golang.org/x/sys/", "log", "log/", "crypto/rand", "net/http"}
	impureNames   = map[string][]string{
		"time":                                {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
		"net":                                 {"Listen", "Dial", "FileConn", "FileListener", "FilePacketConn", "Interface", "Lookup", "Resolve"},
		"github.com/insomniacslk/dhcp/dhcpv4": {"New", "GenerateTransactionID"}, // they read entropy
	}
	pureRand = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}
)

// impurities returns what a source file does that the core must not do.
func impurities(fset *token.FileSet, f *ast.File) (found []string) {
	report := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%v: %s", fset.Position(n.Pos()), what))
	}
	imports := map[string]string{} // by local name
	for _, spec := range f.Imports {
		from := importPath(spec)
		name := path.Base(strings.TrimSuffix(from, "/v2"))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = from
		if name == "." || slices.ContainsFunc(impureImports, func(p string) bool {
			return from == p || strings.HasSuffix(p, "/") && strings.HasPrefix(from, p)
		}) {
			report(spec, "imports "+from)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil && impure(imports[x.Name], n.Sel.Name) {
				report(n, "uses "+x.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func impure(from, name string) bool {
	if from == "math/rand" || from == "math/rand/v2" {
		return !slices.Contains(pureRand, name)
	}
	return slices.ContainsFunc(impureNames[from], func(bad string) bool {
		return name == bad || from != "time" && strings.HasPrefix(name, bad)
	})
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value)
	return p
}

func TestCoreIsPure(t *testing.T) {
	for _, dir := range []string{".", "lease", "server", "client"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range impurities(fset, f) {
				t.Error(found)
			}
		}
	}
}

func TestPurityCheckerCanFail(t *testing.T) {
	for _, test := range []struct{ imports, body, want string }{
		{"time", "time.Now()", "uses time.Now"},
		{"time", "<-time.After(1)", "uses time.After"},
		{"time", "time.NewTimer(1)", "uses time.NewTimer"},
		{"time", "time.Sleep(time.Second)", "uses time.Sleep"},
		{"time", "f := time.Now; f()", "uses time.Now"},
		{"clock time", "clock.Now()", "uses clock.Now"},
		{"time", "go func() { _ = time.Second }()", "starts a goroutine"},
		{"net", `net.Listen("udp", "")`, "uses net.Listen"},
		{"net", `net.ListenPacket("udp", "")`, "uses net.ListenPacket"},
		{"net", `net.DialUDP("udp", nil, nil)`, "uses net.DialUDP"},
		{"net", "_ = net.ListenConfig{}", "uses net.ListenConfig"},
		{"os", "os.Exit(1)", "imports os"},
		{"os/exec", "_ = exec.Cmd{}", "imports os/exec"},
		{"syscall", "syscall.Getpid()", "imports syscall"},
		{"log", `log.Print("")`, "imports log"},
		{"log/slog", `slog.Info("")`, "imports log/slog"},
		{"math/rand", "rand.Int()", "uses rand.Int"},
		{"math/rand/v2", "rand.IntN(2)", "uses rand.IntN"},
		{". time", "Now()", "imports time"},
		{"github.com/insomniacslk/dhcp/dhcpv4", "dhcpv4.NewReplyFromRequest(nil)", "uses dhcpv4.NewReplyFromRequest"},

		{"time", "_ = time.Time{}.After(time.Unix(0, 0))", ""},
		{"time", "var timeNow struct{ Now func() }; time := timeNow; time.Now()", ""},
		{"net", "_ = net.IP{}.To4()", ""},
		{"math/rand/v2", "rand.New(rand.NewPCG(1, 2)).IntN(2)", ""},
	} {
		name, from, renamed := strings.Cut(test.imports, " ")
		spec := strconv.Quote(test.imports)
		if renamed {
			spec = name + " " + strconv.Quote(from)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "bad.go", "package bad\nimport "+spec+"\nfunc f() { "+test.body+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(impurities(fset, f), "; ")
		if test.want == "" && got != "" || !strings.HasSuffix(got, test.want) {
			t.Errorf("impurities(%s: %s) = %q; want %q", test.imports, test.body, got, test.want)
		}
	}
}

// forbidden says why a file of the house must not import a package, or "".
func forbidden(file, imported string) string {
	in := func(dirs ...string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(file, d+"/") })
	}
	of := func(p string) bool { return imported == p || strings.HasPrefix(imported, p+"/") }
	first, _, _ := strings.Cut(imported, "/")
	test := strings.HasSuffix(file, "_test.go")
	switch {
	case in("dhcp") && of("leasehold/firmware"):
		return "the protocol knows no firmware"
	case in("firmware/ring") && !test && (strings.Contains(first, ".") || first == "leasehold"):
		return "the ring needs only the standard library"
	case in("firmware/status", "firmware/link", "firmware/config", "firmware/flash", "firmware/image", "boards") && of("leasehold/dhcp"):
		return "only firmware/router sees both halves"
	case of("github.com/mdlayher/raw") && file != "dhcp/wire/raw.go":
		return "only dhcp/wire/raw.go knows it"
	}
	return ""
}

func TestImportsFollowThePlanOfTheHouse(t *testing.T) {
	n := 0
	err := filepath.WalkDir("..", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && name != ".." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		n++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file, err := filepath.Rel("..", name)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			if why := forbidden(filepath.ToSlash(file), importPath(spec)); why != "" {
				t.Errorf("%s imports %s: %s", file, importPath(spec), why)
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files, %v", n, err)
	}
}

func TestImportCheckerCanFail(t *testing.T) {
	for _, test := range []struct {
		file, imported string
		bad            bool
	}{
		{"dhcp/server/server.go", "leasehold/firmware/ring", true},
		{"dhcp/server/server_test.go", "leasehold/firmware/ring", true},
		{"dhcp/server/server.go", "leasehold/dhcp/lease", false},
		{"firmware/ring/ring.go", "golang.org/x/sys/unix", true},
		{"firmware/ring/ring.go", "leasehold/firmware/flash", true},
		{"firmware/ring/ring.go", "hash/crc32", false},
		{"firmware/ring/cut_test.go", "leasehold/firmware/flash/flashtest", false},
		{"firmware/status/page.go", "leasehold/dhcp", true},
		{"firmware/link/link.go", "leasehold/dhcp/lease", true},
		{"firmware/config/config.go", "leasehold/dhcp", true},
		{"firmware/router/lan.go", "leasehold/dhcp/server", false},
		{"dhcp/wire/conn.go", "github.com/mdlayher/raw", true},
		{"firmware/router/lan.go", "github.com/mdlayher/raw", true},
		{"dhcp/wire/raw.go", "github.com/mdlayher/raw", false},
	} {
		if got := forbidden(test.file, test.imported); (got != "") != test.bad {
			t.Errorf("forbidden(%s, %s) = %q; want bad %v", test.file, test.imported, got, test.bad)
		}
	}
}
