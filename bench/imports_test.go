package bench

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/kongring/kongring"

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir, Doc string
	GoFiles, CgoFiles    []string
	Imports, TestImports []string
	XTestImports         []string
}

// may says what each folder may import, besides the standard library and what
// lies below itself. The longest prefix of a package's path counts.
var may = map[string][]string{
	"ring":          {},
	"shm":           {"golang.org/x/sys/unix"},
	"server/wire":   {"github.com/tinylib/msgp/msgp"},
	"server/schema": {},
	"server/pdk":    {"server/wire", "server/pdk/...", "github.com/tinylib/msgp/msgp"},
	"server": {
		"ring", "shm", "server/wire", "server/schema", "server/pdk/...",
		"github.com/tinylib/msgp/msgp", "golang.org/x/sys/unix",
		"github.com/coreos/go-systemd/v22/activation", "github.com/coreos/go-systemd/v22/daemon",
	},
	"server/metrics": {
		"shm", "server/wire", "github.com/prometheus/client_golang/prometheus",
		"github.com/prometheus/client_golang/prometheus/collectors", "github.com/prometheus/client_golang/prometheus/promhttp",
	},
	"server/cmd": {
		"server", "server/metrics", "server/wire", "server/cmd/...", "shm", "ring", "luabridge",
		"golang.org/x/sys/unix", "golang.org/x/term", "github.com/spf13/cobra", "github.com/tinylib/msgp/msgp",
	},
	"server/spans": {
		"server", "server/pdk", "server/pdk/tracecontext",
		"go.opentelemetry.io/otel/attribute", "go.opentelemetry.io/otel/codes", "go.opentelemetry.io/otel/trace",
	},
	"server/cmd/internal/benchmark": {
		"bench/suite", "bench/served", "server/cmd/internal/exit", "luabridge", "luabridge/host", "luabridge/testbed",
		"github.com/spf13/cobra",
	},
	"server/cmd/internal/dev": {
		"server", "server/cmd/...", "github.com/spf13/cobra", "github.com/fsnotify/fsnotify",
	},
	"server/examples":     {"server", "server/pdk/...", "server/examples/..."},
	"luabridge":           {},
	"luabridge/layoutgen": {"ring", "shm", "server/wire"},
	"luabridge/host":      {},
	"luabridge/testcert":  {},
	"luabridge/kongrun":   {"luabridge/host"},
	"luabridge/testbed":   {"server", "luabridge", "luabridge/host", "golang.org/x/sys/unix"},
	"luabridge/host/konghost": {
		"luabridge/host",
	},
	"luabridge/chaos": {
		"server", "server/pdk/...", "luabridge/chaos", "luabridge/host", "luabridge/testbed/...", "golang.org/x/sys/unix",
	},
	"luabridge/demo": {"server", "luabridge/host", "luabridge/kongrun", "luabridge/testbed"},
	"bench":          {"...", "golang.org/x/sys/unix"},
	"bench/dashboard": {
		"...", "gonum.org/v1/plot", "gonum.org/v1/plot/plotter", "gonum.org/v1/plot/vg", "gonum.org/v1/plot/vg/draw", "gonum.org/v1/plot/vg/vgimg",
	},
	"bench/suite": {
		"...", "golang.org/x/sys/unix",
		"gonum.org/v1/plot", "gonum.org/v1/plot/plotter", "gonum.org/v1/plot/vg", "gonum.org/v1/plot/vg/draw", "gonum.org/v1/plot/vg/vgimg",
	},
}

// forTests are packages that only tests use: they see what they test.
var forTests = []string{"luabridge/interop", "luabridge/e2e", "luabridge/kongtest", "luabridge/differential", "luabridge/pages", "shm/leaktest", "server/liar", "server/wire/golden", "ring/model"}

func list(t *testing.T) (packages []listed) {
	t.Helper()
	fields := "-json=ImportPath,Dir,Doc,GoFiles,CgoFiles,Imports,TestImports,XTestImports"
	out, err := exec.Command("go", "list", fields, module+"/...").Output()
	require.NoError(t, err)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// within tells whether a path is a folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func TestImportDirections(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if slices.ContainsFunc(forTests, func(f string) bool { return within(name, f) }) {
			continue
		}
		folder := ""
		for f := range may {
			if within(name, f) && len(f) > len(folder) {
				folder = f
			}
		}
		require.NotEmpty(t, folder, "package %s has no place in the house", name)
		for _, imported := range p.Imports {
			first, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(first, ".") {
				continue // standard library
			}
			path := strings.TrimPrefix(imported, module+"/")
			allowed := within(path, name) || slices.ContainsFunc(may[folder], func(rule string) bool {
				below, all := strings.CutSuffix(rule, "...")
				return path == rule || all && path != imported && strings.HasPrefix(path+"/", below)
			})
			require.True(t, allowed, "%s imports %s", name, imported)
		}
	}
}

// The command kongring bench is one more front of the benchmark.
func TestNobodyImportsBench(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath == module+"/server/cmd/internal/benchmark" {
			continue
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if within(imported, module+"/bench") {
				require.True(t, within(p.ImportPath, module+"/bench"), "%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// A plugin that does not ask for OpenTelemetry has none of it in its binary.
func TestPluginsLinkNoOpenTelemetry(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"/server/examples/cmd/hello").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), module+"/server\n")
	require.NotContains(t, string(out), "go.opentelemetry.io")
}

// unsafe is in files that are named for it, and in layout.go for Offsetof;
// there is no cgo; every package says what it is for.
func TestHouseRules(t *testing.T) {
	for _, p := range list(t) {
		require.Empty(t, p.CgoFiles, p.ImportPath)
		require.NotEmpty(t, p.Doc, "%s has no package comment", p.ImportPath)
		if !slices.Contains(p.Imports, "unsafe") {
			continue
		}
		for _, file := range p.GoFiles {
			out, err := exec.Command("go", "list", "-f", "{{.Imports}}", filepath.Join(p.Dir, file)).Output()
			require.NoError(t, err)
			if slices.Contains(strings.Fields(strings.Trim(string(out), "[]\n")), "unsafe") {
				require.True(t, file == "layout.go" || strings.HasSuffix(file, "_unsafe.go"),
					"%s/%s imports unsafe", p.ImportPath, file)
			}
		}
	}
}
