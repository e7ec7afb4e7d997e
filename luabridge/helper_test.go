package luabridge

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The helper is loaded into nginx, whatever libc it has: nothing in it may be
// left to resolve, and nothing but the functions that Lua declares is visible.
func TestHelperNeedsNothing(t *testing.T) {
	for _, tc := range []struct {
		name, cc string
		machine  elf.Machine
	}{
		{"native", "cc", elf.EM_NONE},
		{"aarch64", "aarch64-linux-gnu-gcc", elf.EM_AARCH64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := exec.LookPath(tc.cc); err != nil {
				t.Skip("skipped: no " + tc.cc)
			}
			library, err := BuildHelper(tc.cc, t.TempDir())
			require.NoError(t, err)

			file, err := elf.Open(library)
			require.NoError(t, err)
			defer func() { require.NoError(t, file.Close()) }()
			if tc.machine != elf.EM_NONE {
				require.Equal(t, tc.machine, file.Machine)
			}
			needed, err := file.ImportedLibraries()
			require.NoError(t, err)
			require.Empty(t, needed)
			symbols, err := file.DynamicSymbols()
			require.NoError(t, err)
			var defined []string
			for _, s := range symbols {
				require.NotEqual(t, elf.SHN_UNDEF, s.Section, "undefined: %s", s.Name)
				defined = append(defined, s.Name)
			}
			slices.Sort(defined)
			require.Equal(t, []string{
				"kongring_abi", "kongring_abi_number", "kongring_exchange", "kongring_fence", "kongring_load",
				"kongring_spin", "kongring_store", "kongring_ticks",
			}, defined)
		})
	}
}

// A missing or wrong library is refused with its path and what to do.
func TestHelperLoaderSaysWhatIsWrong(t *testing.T) {
	load := func(t *testing.T, path string) string {
		cmd := exec.Command("luajit", "-e", `require "kongring.helper"`)
		cmd.Env = append(os.Environ(), "LUA_PATH=./?.lua;;", "KONGRING_HELPER="+path)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, "it loaded %s", path)
		return string(out)
	}
	requireLuajit(t)

	t.Run("missing", func(t *testing.T) {
		path := t.TempDir() + "/libkongring.so"
		out := load(t, path)
		require.Contains(t, out, path)
		require.Contains(t, out, "make build")
	})
	t.Run("other version", func(t *testing.T) {
		dir := t.TempDir()
		old := helperLayout
		defer func() { helperLayout = old }()
		changed := strings.Replace(string(old), "KONGRING_HELPER_ABI ", "KONGRING_HELPER_ABI 9", 1)
		require.NotEqual(t, string(old), changed)
		helperLayout = []byte(changed)
		path, err := BuildHelper("cc", dir)
		require.NoError(t, err)
		out := load(t, path)
		require.Contains(t, out, path+": its version is 9")
	})
}

// requireLuajit skips the test where no LuaJIT is installed. It opens the Lua
// files, so that go test knows the cached result of the test to be old when
// one of them changes.
func requireLuajit(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"kongring/*.lua", "spec/*.lua"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			_, err := os.ReadFile(file)
			require.NoError(t, err)
		}
	}
	if _, err := exec.LookPath("luajit"); err != nil {
		t.Skip("skipped: no luajit")
	}
}
