package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

// Play is how a page is played through.
type Play struct {
	// Home is what stands in the page for the folder that its commands run in.
	Home string

	// Here stands for what the page says: a free port, say.
	Here *strings.Replacer

	// Before is called before each command of a console.
	Before func(command string)

	// Run runs a command of a console that the shell cannot, since it does not end
	// by itself, say. It gives what was printed, and false for those of the shell.
	Run func(command string) (out string, run bool)

	// Same makes what is printed comparable, on both sides; Steady unless set.
	Same func(string) string

	// Update takes what is printed into the page instead of comparing it.
	Update bool
}

// Play writes the page's files and runs its commands, in order, but for those
// that somebody else runs, or nobody. It gives the page with what they printed.
func (s *Shell) Play(p *Page, with Play) (text string) {
	s.t.Helper()
	if with.Same == nil {
		with.Same = Steady
	}
	if with.Here == nil {
		with.Here = strings.NewReplacer()
	}
	text = p.Text
	for _, b := range p.Blocks {
		if name := b.Notes["file"]; name != "" {
			path := filepath.Join(s.dir, name)
			require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(s.t, os.WriteFile(path, []byte(with.Here.Replace(b.Text)), 0o644))
			continue
		}
		if b.Notes["not run"] != "" || b.Notes["run by"] != "" {
			continue
		}
		switch b.Language {
		case "sh":
			out, ok := s.Run(with.Here.Replace(b.Text), true)
			require.True(s.t, ok, "%s:%d: %s\n%s", p.Path, b.Line, b.Text, out)
		case "console":
			printed := s.console(p, b, with)
			text = strings.Replace(text, fence+"console\n"+b.Text+fence, fence+"console\n"+printed+fence, 1)
		}
	}
	return text
}

// console runs the commands of a block and gives it with what they print.
func (s *Shell) console(p *Page, b Block, with Play) (text string) {
	s.t.Helper()
	all := b.Commands()
	require.NotEmpty(s.t, all, "%s:%d: a console without a command", p.Path, b.Line)
	for _, c := range all {
		if with.Before != nil {
			with.Before(c.Line)
		}
		out, run := "", false
		if with.Run != nil {
			out, run = with.Run(c.Line)
		}
		if !run {
			// Some fail, as the page shows.
			out, _ = s.Run(with.Here.Replace(c.Line), false)
		}
		out = strings.ReplaceAll(out, "\r\n", "\n") // of HTTP
		if with.Home != "" {
			out = strings.ReplaceAll(out, s.dir, with.Home)
		}
		if !with.Update {
			require.Equal(s.t, with.Same(c.Output), with.Same(out), "%s:%d: %s", p.Path, b.Line, c.Line)
		}
		text += "$ " + c.Line + "\n" + out
	}
	return text
}

var (
	numbers = regexp.MustCompile(`-?\d+(\.\d+)?(e[+-]\d+)?[kMum]?|-\s`)
	spaces  = regexp.MustCompile(` +`)
)

// Steady leaves of an output what is the same each time: numbers, and the blanks
// that fill up beside them, are not. A null is no number.
func Steady(text string) string {
	return spaces.ReplaceAllString(numbers.ReplaceAllString(text, "0 "), " ")
}
