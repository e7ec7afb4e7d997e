package pages_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// TestPagesAreTrue looks at every page of the project.
func TestPagesAreTrue(t *testing.T) {
	project := readProject(t)
	for _, p := range project.pages {
		for _, look := range checks {
			for _, fault := range look(project, p) {
				t.Error(fault)
			}
		}
	}
}

// Each check finds what it is for, and lets pass what is right.
func TestChecksFindFaults(t *testing.T) {
	project := readProject(t)
	const f = "```"
	for name, c := range map[string]struct{ right, wrong []string }{
		"commands": {
			right: []string{
				"<!-- not run: it takes a whole Kong -->\n" + f + "sh\nkong start\n" + f,
				"<!-- run by: server TestDump -->\n" + f + "console\n$ make\n" + f,
				f + "text\nno command\n" + f,
			},
			wrong: []string{
				f + "sh\nmake test\n" + f,
				f + "console\n$ kongring top\n" + f,
				f + "text\nmake test\n" + f,
				f + "\nmake test\n" + f,
				"<!-- not run: no -->\n" + f + "sh\nkong start\n" + f,
				"<!-- run by: server TestNothing -->\n" + f + "sh\nkong start\n" + f,
				"<!-- not run: it takes a whole Kong -->\nText in between.\n" + f + "sh\nkong start\n" + f,
			},
		},
		"links": {
			right: []string{"[a](OPERATING.md#at-night)", "[a](../README.md)", "# It's a `b-c`!\n\n[a](#its-a-b-c)", "[a](https://example.com/x)", "![a](../luabridge/pictures/ring.svg)"},
			wrong: []string{"[a](OPERATING.md#by-day)", "[a](README.md)", "# One\n\n[a](#two)", "[a](http://example.com/x)"},
		},
		"files": {
			right: []string{"`server/flags.go`", "`flags.go`", "`session_receive.lua`", "`kong.conf`", "`pdk/METHODS.md`", "`/etc/none.conf`"},
			wrong: []string{"`server/flag.go`", "`no-such.lua`", "`pdk/METHOD.md`"},
		},
		"make": {
			right: []string{"`make chaos MINUTES=2 SEED=5`", "`make -C kongring install PREFIX=/usr`"},
			wrong: []string{"`make tea`", "`make chaos HOUR=2`", "<!-- not run: never, it is a test -->\n" + f + "sh\nnice make tea\n" + f},
		},
		"environment": {
			right: []string{"`KONGRING_CARRIER`"},
			wrong: []string{"`KONGRING_CARRIERS`"},
		},
		"symbols": {
			right: []string{"`server.MaxEvents`", "`server.SyncWrites()`"},
			wrong: []string{"`server.MostEvents`"},
		},
		"tests": {
			right: []string{"`server TestDump`", "`TestDump`"},
			wrong: []string{"`server TestDumps`", "`shm TestDump`", "`TestDumps`"},
		},
		"log": {
			right: []string{"\n| symptom | x |\n|---|---|\n| `handler panicked`, `Permission denied` | `no text` |\n"},
			wrong: []string{"\n| symptom | x |\n|---|---|\n| `handler danced` | |\n"},
		},
		"source": {
			right: []string{f + "go\nfunc f() {}\n" + f, f + "json\n{}\n" + f},
			wrong: []string{f + "go\nfunc f() {\n" + f, f + "go\nfunc f(){}\n" + f, f + "json\n{\n" + f},
		},
	} {
		for _, text := range c.right {
			require.Empty(t, checks[name](project, pages.Parse("server/X.md", text)), "%s: %s", name, text)
		}
		for _, text := range c.wrong {
			require.NotEmpty(t, checks[name](project, pages.Parse("server/X.md", text)), "%s: %s", name, text)
		}
	}
	require.Len(t, checks, 9, "each has its cases above")
}

// The README leads to every page.
func TestReadmeNamesEveryPage(t *testing.T) {
	project := readProject(t)
	readme := ""
	for _, p := range project.pages {
		if p.Path == "README.md" {
			readme = p.Text
		}
	}
	for _, p := range project.pages {
		if p.Path != "README.md" && !strings.HasPrefix(p.Path, "bench/results/") {
			if !strings.Contains(readme, "]("+p.Path) {
				t.Errorf("the table of pages in README.md has no %s", p.Path)
			}
		}
	}
}

// What people report, and what goes wrong with go-pdk, has a test in each row, or
// says by a dash that there is none.
func TestRowsNameTests(t *testing.T) {
	project := readProject(t)
	for _, p := range project.pages {
		if p.Path != "server/FAULTS.md" && p.Path != "luabridge/FAQ.md" {
			continue
		}
		rows := 0
		for line := range strings.Lines(p.Text) {
			if !strings.HasPrefix(line, "| ") || strings.HasSuffix(line, "| test |\n") {
				continue
			}
			rows++
			if !strings.HasSuffix(line, "| – |\n") {
				require.Regexp(t, "`[a-z/0-9]+ Test[A-Za-z]+`", line)
			}
		}
		require.Greater(t, rows, 20)
	}
}
