package wire_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire/golden"
)

// The pages for whoever writes another implementation, and the generated Lua
// layout, whose numbers are those of the Go packages ring, shm and wire.
const (
	page    = "PROTOCOL.md"
	example = "EXAMPLE.md"
	layout  = "../../luabridge/kongring/layout.lua"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// shown is a golden frame on the page: the last link of a paragraph, and the bytes
// behind it.
var shown = regexp.MustCompile("(?s)(\\[([a-z-]+)\\.hex\\]\\(testdata/golden/[a-z-]+\\.hex\\)[^\n]*:\n\n```text\n)(.*?)```")

// TestPageShowsGoldenFiles compares the frames of the example with the files, and
// looks that each file is named there.
func TestPageShowsGoldenFiles(t *testing.T) {
	text := read(t, example)
	body := func(name string) string {
		_, b, _ := strings.Cut(read(t, filepath.Join(golden.Folder(), name+".hex")), "\n\n")
		return b
	}
	if *update {
		text = shown.ReplaceAllStringFunc(text, func(block string) string {
			m := shown.FindStringSubmatch(block)
			return m[1] + body(m[2]) + "```"
		})
		require.NoError(t, os.WriteFile(example, []byte(text), 0o644))
	}
	blocks := shown.FindAllStringSubmatch(text, -1)
	require.Equal(t, strings.Count(text, "\n\n```text\n"), len(blocks), "a block without a file")
	for _, m := range blocks {
		require.Equal(t, body(m[2]), m[3], "%s on the page: go test ./server/wire -run 'Golden|Page' -update", m[2])
	}
	for _, g := range goldens {
		require.Contains(t, text, fmt.Sprintf("[%s.hex](testdata/golden/%s.hex)", g.name, g.name))
	}
	require.True(t, strings.Contains(read(t, page), versionLine()[len("kongring "):]), "%s is of another version: look what changes in it", page)
}

// TestPageHasTheNumbers compares the rows "| 5 | `TYPE_CALL` |" of the page with
// the constants.
func TestPageHasTheNumbers(t *testing.T) {
	of := func(text string, row *regexp.Regexp, value, name int) map[string]uint64 {
		numbers := map[string]uint64{}
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			n, err := strconv.ParseUint(m[value], 0, 64)
			require.NoError(t, err)
			require.NotContains(t, numbers, m[name], "twice")
			numbers[m[name]] = n
		}
		return numbers
	}
	want := of(read(t, layout), regexp.MustCompile(`(?m)^  ([A-Z_]+) = (\w+),$`), 2, 1)
	require.Greater(t, len(want), 60)
	delete(want, "HELPER_ABI") // between Lua and its C
	for phase, n := range of(read(t, layout), regexp.MustCompile(`(?m)^    ([a-z]+) = (\d+),$`), 2, 1) {
		want["PHASE_"+strings.ToUpper(phase)] = n
	}
	require.Equal(t, want, of(read(t, page), regexp.MustCompile("(?m)^\\| (\\w+) \\| `([A-Z_]+)` \\|"), 1, 2))
}

// field is a field of a struct.
type field struct {
	offset, size int
	name         string
}

// TestPageHasTheStructs compares the tables of fields.
func TestPageHasTheStructs(t *testing.T) {
	sizes := map[string]int{"uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "uint64_t": 8, "double": 8, "kongring_region": 8}
	structs := regexp.MustCompile(`(?s)typedef struct kongring_(\w+) \{(.*?)\}`)
	member := regexp.MustCompile(`(\w+)\s+(\w+)(?:\[(\d+)\])?;`)
	text, n := read(t, page), 0
	for _, s := range structs.FindAllStringSubmatch(read(t, layout), -1) {
		var want []field
		at := 0
		for _, m := range member.FindAllStringSubmatch(s[2], -1) {
			size := sizes[m[1]]
			require.NotZero(t, size, m[1])
			if m[3] != "" {
				many, err := strconv.Atoi(m[3])
				require.NoError(t, err)
				size *= many
			}
			if !strings.HasPrefix(m[2], "filling") {
				want = append(want, field{at, size, m[2]})
			}
			at += size
		}
		_, rows, found := strings.Cut(text, "| offset | bytes | `"+s[1]+"` |")
		require.True(t, found, "no table of %s", s[1])
		rows, _, _ = strings.Cut(rows, "\n\n")
		var got []field
		for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| (\\d+) \\| `(\\w+)` \\|").FindAllStringSubmatch(rows, -1) {
			offset, _ := strconv.Atoi(m[1])
			size, _ := strconv.Atoi(m[2])
			got = append(got, field{offset, size, m[3]})
		}
		require.Equal(t, want, got, s[1])
		n++
	}
	require.Equal(t, 8, n)
}
