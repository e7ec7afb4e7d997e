package main_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

var update = flag.Bool("update", false, "write into README.md what the commands print")

const patience = 2 * time.Minute

// console is a command of the page with what it prints.
var console = regexp.MustCompile("(?s)```console\n\\$ (kongring [^\n]*)\n(.*?)```")

// before is what has to be done before a command, by the start of its line.
var before = []struct {
	command string
	prepare func(*stage)
}{
	{"kongring doctor", (*stage).installed},
	{"kongring top ./s --once\n", (*stage).kong},
	{"kongring new", (*stage).checkout},
}

// stage is where the commands of the page run.
type stage struct {
	*testing.T
	dir, kongring string
	build         testbed.Build
	bed           *testbed.Bed
}

// TestReadme runs each command that the page shows, in order, and compares what
// it prints; numbers may be others, and paths are the reader's.
func TestReadme(t *testing.T) {
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	s := newStage(t)
	all := console.FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, all)
	for _, block := range all {
		for _, b := range before {
			if strings.HasPrefix(block[1]+"\n", b.command) {
				b.prepare(s)
			}
		}
		run := s.run
		if strings.HasPrefix(block[1], "kongring dev ") {
			run = s.dev
		}
		got := run(block[1])
		require.NotContains(t, got, "null", "with traffic each figure is known")
		if *update {
			page = []byte(strings.Replace(string(page), block[0], "```console\n$ "+block[1]+"\n"+got+"```", 1))
			continue
		}
		require.Equal(t, steady(block[2]), steady(got), block[1])
	}
	if *update {
		require.NoError(t, os.WriteFile("README.md", page, 0o644))
	}
}

var (
	numbers = regexp.MustCompile(`-?\d+(\.\d+)?(e[+-]\d+)?[kMum]?|null|-\s`)
	spaces  = regexp.MustCompile(` +`)
	machine = regexp.MustCompile(`(?m)^(ok|note|warning) +(proc|seccomp|affinity|quota|idle|workers|files|memory) .*\n( +fix: .*\n)?`)
)

// steady leaves of an output what is the same each time and on each machine.
func steady(text string) string {
	text = machine.ReplaceAllString(text, "")
	return spaces.ReplaceAllString(numbers.ReplaceAllString(text, "0 "), " ")
}

func newStage(t *testing.T) *stage {
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s := &stage{T: t, dir: dir, kongring: filepath.Join(dir, "kongring")}
	require.NoError(t, os.Mkdir(s.path("bin"), 0o755))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.build, err = testbed.Compile(ctx, s.path("bin"), testbed.Examples)
	require.NoError(t, err)
	out, err := exec.Command("go", "build", "-o", s.kongring, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return s
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// run gives what a command prints, in the folder that the page is about.
func (s *stage) run(command string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.kongring, strings.Fields(command)[1:]...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	require.NoError(s, ctx.Err())
	if err != nil {
		require.NotEmpty(s, out, "%s: %v", command, err)
	}
	return strings.ReplaceAll(string(out), s.dir, "/home/me")
}

// installed installs the plugins, and makes a prefix like one where a Kong with
// them was started.
func (s *stage) installed() {
	s.run("kongring install ./bin --prefix ./usr --dir ./go --socket ./s")
	require.NoError(s, os.MkdirAll(s.path("kong"), 0o755))
	text := fmt.Sprintf("plugins = bundled,hello\nlua_package_path = %s/?.lua;%s/?.lua;./?.lua\nnginx_worker_processes = 1\nnginx_user = root\n", s.path("go"), s.path("usr/share/lua/5.1"))
	require.NoError(s, os.WriteFile(s.path("kong/.kong_env"), []byte(text), 0o644))
}

// kong starts a plugin server and an nginx with the bridge, and has them serve
// requests until the test ends.
func (s *stage) kong() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.Cleanup(cancel)
	type object = map[string]interface{}
	var err error
	s.bed, err = testbed.Start(ctx, testbed.Options{Build: s.build, Dir: s.dir, Config: testbed.Config{
		"plugins": []string{"calls"},
		"routes": []interface{}{object{
			"name": "a", "paths": []string{"/"}, "plugins": []interface{}{object{"name": "calls", "config": object{"n": 5}}},
		}},
	}})
	require.NoError(s, err)
	ended := make(chan struct{})
	s.Cleanup(func() {
		cancel()
		<-ended
		require.NoError(s, s.bed.Stop(context.Background()))
	})
	attached := make(chan struct{})
	go func() {
		defer close(ended)
		for first := true; ctx.Err() == nil; {
			request, _ := http.NewRequestWithContext(ctx, "GET", s.bed.Host.URL(), nil)
			if answer, err := s.bed.Client.Do(request); err == nil {
				_ = answer.Body.Close()
				if first && answer.StatusCode < 500 {
					close(attached)
					first = false
				}
			}
			time.Sleep(2 * time.Millisecond) // load enough to see, and no more
		}
	}()
	select {
	case <-attached:
	case <-ctx.Done():
		require.Fail(s, "no worker attached")
	}
}
