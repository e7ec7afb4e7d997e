package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	source = "../.." // what the recipe is followed in
	image  = "/image"
)

// step is one instruction of the recipe.
type step struct {
	stage, name, args string
}

// recipe gives the steps of Dockerfile, and the names of its stages in order.
func recipe(t *testing.T) (steps []step, stages []string) {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	from := regexp.MustCompile(`^\S+ AS ([a-z]+)$`)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		require.Contains(t, []string{"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD", "ENV"}, name, line)
		require.NotContains(t, line, `\`, "a step is one line")
		if name == "FROM" {
			match := from.FindStringSubmatch(args)
			require.NotNil(t, match, line)
			stages = append(stages, match[1])
			continue
		}
		require.NotEmpty(t, stages, line)
		steps = append(steps, step{stages[len(stages)-1], name, args})
	}
	return steps, stages
}

// The build's steps work with what the recipe copies and nothing else, and make
// what the images take.
func TestRecipe(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it builds what goes into the images")
	}
	for _, p := range []string{"make", "cc"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("skipped: %s is not installed", p)
		}
	}
	steps, stages := recipe(t)
	require.Equal(t, []string{"build", "plugins", "kong"}, stages)
	context, made := t.TempDir(), t.TempDir()
	for _, s := range steps {
		fields := strings.Fields(s.args)
		switch {
		case s.name == "COPY" && s.stage == "build":
			require.NotContains(t, s.args, "--")
			for _, name := range fields[:len(fields)-1] {
				copyInto(t, context, name)
			}
		case s.name == "COPY":
			require.Equal(t, "--from=build", fields[0])
			require.Len(t, fields, 3)
			if rest, ours := strings.CutPrefix(fields[1], image); ours {
				_, err := os.Stat(made + rest)
				require.NoError(t, err, s.args)
			}
		case s.name == "RUN" && s.args != "go mod download": // which go build would do
			cmd := exec.Command("sh", "-euc", strings.ReplaceAll(s.args, image+"/", made+"/"))
			cmd.Args[2] = strings.ReplaceAll(cmd.Args[2], "DESTDIR="+image, "DESTDIR="+made)
			cmd.Dir = context
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s: %s", s.args, out)
		}
	}

	for _, name := range []string{"/bin/hello", "/bin/kongring"} {
		out, err := exec.Command("ldd", made+name).CombinedOutput()
		require.Error(t, err, "%s is not static: %s", name, out)
	}
	require.FileExists(t, made+"/usr/local/share/lua/5.1/kongring/libkongring.so")
	require.FileExists(t, made+"/etc/kong/go/kong/plugins/hello/schema.lua")
	handler, err := os.ReadFile(made + "/etc/kong/go/kong/plugins/hello/handler.lua")
	require.NoError(t, err)
	socket := regexp.MustCompile(`socket = "(.*)"`).FindSubmatch(handler)
	require.NotNil(t, socket, "%s", handler)
	for _, name := range []string{"Dockerfile", "kong.yaml", "hybrid.yaml"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(text), `"-socket", "`+string(socket[1])+`"`, name)
	}
	runs := slices.IndexFunc(steps, func(s step) bool { return s.name == "ENTRYPOINT" })
	require.Equal(t, step{"plugins", "ENTRYPOINT", `["/bin/hello"]`}, steps[runs])
}

// copyInto copies a file of the source, or a folder, as docker would.
func copyInto(t *testing.T, context, name string) {
	t.Helper()
	from, to := filepath.Join(source, name), filepath.Join(context, name)
	info, err := os.Stat(from)
	require.NoError(t, err)
	if info.IsDir() {
		require.NoError(t, os.CopyFS(to, os.DirFS(from)))
		return
	}
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, info.Mode().Perm()))
}
