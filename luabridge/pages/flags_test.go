package pages_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// programs are ours, by what pages call them: where they are built from.
var programs = map[string]string{
	"my-plugin": "./server/examples/cmd/hello", "my-plugin-stock": "./server/examples/cmd/hello", "both": "./server/examples/cmd/hello",
	"tenants": "./server/examples/cmd/hello", "konghost": "./luabridge/host/konghost", "kongring": "./server/cmd/kongring",
}

// elsewhere are flags that pages name by themselves and that are not a plugin
// binary's, konghost's or kongring's.
var elsewhere = map[string]bool{
	"-update": true, // of tests that write what they compare
	"-race":   true, // of the go command
}

// known are the flags of programs as their help has them: "my-plugin", "kongring top".
type known map[string]map[string]bool

var (
	helpFlag = regexp.MustCompile(`(?m)^\s+(-\w), (--[\w-]+)|^\s+(--?[\w-]+)`)
	usedFlag = regexp.MustCompile(`^--?[a-zA-Z][\w-]*`)
	assigned = regexp.MustCompile(`^[\w.]+ = `)
	between  = regexp.MustCompile(`\||;|&&|&|\$\(|\)`)
)

// readFlags asks each program for its help.
func readFlags(t *testing.T, root string) known {
	t.Helper()
	all, dir, built := known{}, t.TempDir(), map[string]string{}
	for name, path := range programs {
		if built[path] == "" {
			built[path] = filepath.Join(dir, filepath.Base(path))
			pages.Run(t, root, "go build -o "+built[path]+" "+path)
		}
		help := func(as string, args ...string) string {
			out, _ := exec.Command(built[path], args...).CombinedOutput() // status 2 of flag.ErrHelp
			all[as] = map[string]bool{"--help": true, "-h": true, "-help": true}
			for _, m := range helpFlag.FindAllStringSubmatch(string(out), -1) {
				for _, flag := range m[1:] {
					all[as][flag] = true
				}
			}
			return string(out)
		}
		text := help(name, "--help")
		require.NotEmpty(t, text)
		if name != "kongring" {
			require.Greater(t, len(all[name]), 7, text)
			continue
		}
		var commands func(as, text string)
		commands = func(as, text string) {
			_, list, _ := strings.Cut(text, "Available Commands:\n")
			list, _, _ = strings.Cut(list, "\n\n")
			for line := range strings.Lines(list) {
				command := as + " " + strings.Fields(line)[0]
				commands(command, help(command, append(strings.Fields(command)[1:], "--help")...))
			}
		}
		commands(name, text)
		require.True(t, all["kongring trace record"]["--values"])
		require.True(t, all["kongring top"]["--once"])
	}
	return all
}

// faults finds flags that nobody has, given to a program of ours or alone.
func (k known) faults(p *pages.Page) (faults []string) {
	anyone := map[string]bool{}
	for _, flags := range k {
		for flag := range flags {
			anyone[flag] = true
		}
	}
	for _, c := range said(p) {
		text := assigned.ReplaceAllString(c.Text, "")
		if flag := usedFlag.FindString(text); flag != "" && !strings.Contains(flag, "---") {
			if !anyone[flag] && !elsewhere[flag] {
				faults = append(faults, at(p, c.Line, "flag %s: nobody has it", flag))
			}
			continue
		}
		for _, command := range between.Split(text, -1) {
			words := strings.Fields(command)
			if len(words) == 0 {
				continue
			}
			name := filepath.Base(words[0])
			if programs[name] == "" {
				continue
			}
			for i := 1; i < len(words) && k[name+" "+words[i]] != nil; i++ {
				name += " " + words[i]
			}
			for _, word := range words[1:] {
				if word == "--" { // what follows is another program's
					break
				}
				if flag := usedFlag.FindString(word); flag != "" && !k[name][flag] {
					faults = append(faults, at(p, c.Line, "%s %s: it has no such flag", name, flag))
				}
			}
		}
	}
	return faults
}

// Flags that pages name exist, in the program that they are given to.
func TestFlagsExist(t *testing.T) {
	project := readProject(t)
	flags := readFlags(t, project.root)
	for _, p := range project.pages {
		for _, fault := range flags.faults(p) {
			t.Error(fault)
		}
	}
	for text, right := range map[string]bool{
		"`-install`": true, "`-allow-user NAME`": true, "`--prefix`": true, "`my-plugin -check`": true, "`kongring top --once`": true,
		"`kongring doctor -c kong.conf`": true, "`kongring trace record --values`": true, "`kongring dev . -- -socket ./s`": true, "`kongring trace show --values`": false, "`curl --whatever`": true, "`konghost -lua DIR`": true, "`-1`": true,
		"`-instal`": false, "`my-plugin -once`": false, "`kongring top --prefix`": false, "`kongring doctor -x kong.conf`": false,
		"`/usr/local/bin/my-plugin -dumps`": false, "`konghost -luas DIR`": false,
	} {
		require.Equal(t, right, len(flags.faults(pages.Parse("X.md", text))) == 0, text)
	}
}
