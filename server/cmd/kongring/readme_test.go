package main_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/pages"
	"github.com/kongring/kongring/luabridge/testbed"
)

var update = flag.Bool("update", false, "write into README.md what the commands print")

const patience = 2 * time.Minute

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
	dir      string
	kongring string // path of the command
	shell    *pages.Shell
	build    testbed.Build
	bed      *testbed.Bed
}

// TestReadme runs each command that the page shows, in order, and compares what
// it prints; numbers may be others, and paths are the reader's.
func TestReadme(t *testing.T) {
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	page, err := pages.Read("README.md")
	require.NoError(t, err)
	s := newStage(t)
	text := s.shell.Play(page, pages.Play{Home: "/home/me", Same: steady, Update: *update, Before: func(command string) {
		for _, b := range before {
			if strings.HasPrefix(command+"\n", b.command) {
				b.prepare(s)
			}
		}
	}, Run: func(command string) (string, bool) {
		if !strings.HasPrefix(command, "kongring dev ") {
			return "", false
		}
		return s.dev(command), true
	}})
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(text), 0o644))
	}
}

// machine is what doctor and bench say of this machine.
var machine = regexp.MustCompile(`(?m)^these run already .*\n|^(ok|note|warning) +(proc|seccomp|affinity|quota|idle|workers|files|memory) .*\n( +fix: .*\n)?`)

// steady leaves of an output what is the same each time and on each machine.
func steady(text string) string { return pages.Steady(machine.ReplaceAllString(text, "")) }

func newStage(t *testing.T) *stage {
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s := &stage{T: t, dir: dir}
	require.NoError(t, os.Mkdir(s.path("bin"), 0o755))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.build, err = testbed.Compile(ctx, s.path("bin"), testbed.Examples)
	require.NoError(t, err)
	tools := t.TempDir()
	s.kongring = filepath.Join(tools, "kongring")
	pages.Run(t, ".", "go build -o "+s.kongring+" .")
	s.shell = pages.NewShell(t, dir, "PATH="+tools+":"+os.Getenv("PATH"))
	return s
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// installed installs the plugins, and makes a prefix like one where a Kong with
// them was started.
func (s *stage) installed() {
	out, ok := s.shell.Run("kongring install ./bin --prefix ./usr --dir ./go --socket ./s", true)
	require.True(s, ok, out)
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
