package pages_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

var update = flag.Bool("update", false, "take figures that were measured anew, and what commands print, into the pages")

func squashed(text string) string { return strings.Join(strings.Fields(text), " ") }

// quoted tells whether a block is in the text that it is from: line by line, or
// as a whole where lines end elsewhere.
func quoted(block, source string) (missing string) {
	if strings.Contains(squashed(source), squashed(block)) {
		return ""
	}
	lines := map[string]bool{}
	for line := range strings.Lines(source) {
		lines[squashed(line)] = true
	}
	for line := range strings.Lines(block) {
		if !lines[squashed(line)] {
			return line
		}
	}
	return ""
}

// renewed gives a block with the lines that stand in the source now, in the
// section with the same first line: those whose words before the first figures,
// and the whole numbers behind these that tell rows apart, are the same.
func renewed(block, source string) string {
	head, rows, _ := strings.Cut(block, "\n")
	if rows == "" { // a line by itself
		for line := range strings.Lines(source) {
			if first(line, 3) == first(head, 3) {
				return line
			}
		}
	}
	for _, section := range strings.Split(source, "\n\n") {
		title, all, _ := strings.Cut(section, "\n")
		if squashed(title) != squashed(head) {
			continue
		}
		out := title + "\n"
		for row := range strings.Lines(rows) {
			for line := range strings.Lines(all) {
				if key(head, line) == key(head, row) {
					out += strings.TrimRight(line, " \n") + "\n"
				}
			}
		}
		return out
	}
	return block
}

// keys are how many words at the start of a row say which it is, by the first
// word of the table.
var keys = map[string]int{"Ring": 5, "One": 3, "Requests": 3, "Workers,": 1, "Handlers": 2, "Body": 2}

func key(head, row string) string { return first(row, keys[strings.Fields(head)[0]]) }

// first gives the first n words of a line.
func first(line string, n int) string {
	words := strings.Fields(line)
	return strings.Join(words[:min(n, len(words))], " ")
}

// Figures on the pages are those of the runs.
func TestFiguresAreFromTheRuns(t *testing.T) {
	project := readProject(t)
	count := 0
	for _, p := range project.pages {
		text := p.Text
		for _, b := range p.Blocks {
			from := b.Notes["from"]
			if from == "" {
				continue
			}
			count++
			source, err := os.ReadFile(filepath.Join(project.root, filepath.Dir(p.Path), from))
			require.NoError(t, err)
			if *update && quoted(b.Text, string(source)) != "" {
				now := renewed(b.Text, string(source))
				text = strings.Replace(text, b.Text, now, 1)
				b.Text = now // what is no table is for a hand to change
			}
			require.Empty(t, quoted(b.Text, string(source)), "%s:%d: not in %s (any more): go test ./luabridge/pages -run Figures -update", p.Path, b.Line, from)
		}
		if text != p.Text {
			require.NoError(t, os.WriteFile(filepath.Join(project.root, p.Path), []byte(text), 0o644))
		}
	}
	require.Greater(t, count, 8)
}

func TestFiguresRenewed(t *testing.T) {
	const source = "x\n\n  Workers, 64 connections  req/s\n   1  100\n   2  200\n\n64 idle: 7\n"
	require.Empty(t, quoted("Workers, 64 connections req/s\n 2 200\n", source))
	require.Equal(t, " 2 201\n", quoted("Workers, 64 connections req/s\n 2 201\n", source))
	require.Empty(t, quoted("connections\nreq/s 1", source))
	require.Equal(t, "64 idle sessions: 7\n", renewed("64 idle sessions: 8\n", "x\n64 idle sessions: 7\n"))
	require.Equal(t, "  Workers, 64 connections  req/s\n   2  200\n", renewed("Workers, 64 connections req/s\n 2 1\n", source))
}

// Whatever can be set is on the page about that.
func TestTuningNamesEveryKnob(t *testing.T) {
	project := readProject(t)
	var page *pages.Page
	for _, p := range project.pages {
		if p.Path == "server/TUNING.md" {
			page = p
		}
	}
	require.NotNil(t, page)
	options := project.options(t)
	require.Greater(t, len(options), 15)
	for _, name := range options {
		if !strings.Contains(page.Text, "`server."+name+"`") {
			t.Errorf("server.%s is not on the page", name)
		}
	}
	for _, name := range []string{"failure_policy", "timeout", "carrier"} {
		require.True(t, project.in("luabridge/kongring/options.lua", `"`+name+`"`))
		require.True(t, strings.Contains(page.Text, "`config.kongring."+name+"`"), name)
	}
}
