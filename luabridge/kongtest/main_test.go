package kongtest_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
)

// What TestMain made for all tests.
var (
	subject, conformance testbed.Build
	installed            string // where the bridge is
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := kongrun.Available(); err != nil {
		fmt.Println("skipped:", err)
		return
	}
	if testing.Short() {
		fmt.Println("skipped: -short")
		return
	}
	dir, err := os.MkdirTemp("", "kongring-kongtest-")
	if err == nil {
		err = prepare(context.Background(), dir)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// prepare compiles the plugins and installs the bridge as an operator does.
func prepare(ctx context.Context, dir string) (err error) {
	if subject, err = testbed.Compile(ctx, dir, "./luabridge/kongtest/subject"); err != nil {
		return err
	}
	conformance, err = testbed.Compile(ctx, filepath.Join(dir), "./luabridge/e2e/conform/server")
	if err != nil {
		return err
	}
	install := exec.CommandContext(ctx, "make", "install", "PREFIX=/usr", "DESTDIR="+dir)
	install.Dir = subject.Root
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("make install: %w: %s", err, out)
	}
	installed = filepath.Join(dir, "usr", "share", "lua", "5.1")
	return nil
}

type object = map[string]interface{}

type list = []interface{}

// shortDir is a temporary folder with a short name, since sockets lie in it.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "kr")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func timeLimit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
