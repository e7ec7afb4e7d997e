package pages_test

import (
	"encoding/json"
	"fmt"
	"go/format"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kongring/kongring/luabridge/pages"
)

// check looks at a page and gives what is wrong with it.
type check func(*project, *pages.Page) []string

// checks are all that look at one page by itself.
var checks = map[string]check{
	"commands": commands, "links": links, "files": files, "make": makes, "environment": environment, "symbols": symbols,
	"tests": tests, "log": logTexts, "source": sources,
}

func at(p *pages.Page, line int, format string, args ...interface{}) string {
	return fmt.Sprintf("%s:%d: ", p.Path, line) + fmt.Sprintf(format, args...)
}

// played are the pages whose commands TestPages runs.
var played = map[string]bool{"server/QUICKSTART.md": true, "server/WRITING.md": true}

// playedBy are pages that another test plays.
var playedBy = map[string]string{"server/cmd/kongring/README.md": "server/cmd/kongring TestReadme"}

// languages are those of blocks; of commands are sh and console alone.
var languages = []string{"sh", "console", "text", "ini", "go", "lua", "json", "yaml"}

// typed is a line that looks like a command.
var typed = regexp.MustCompile(`(?m)^(\$ |make |go (run|build|test|install|get) |kongring |konghost |\./|curl |kong |systemctl |apt-get |cp )`)

// commands wants each block of commands to be run by a test, or to say why not.
func commands(project *project, p *pages.Page) (faults []string) {
	other := project.tests[playedBy[p.Path]]
	for _, b := range p.Blocks {
		if !slices.Contains(languages, b.Language) {
			faults = append(faults, at(p, b.Line, "a block of the language %q: want one of %v", b.Language, languages))
		}
		by, why := b.Notes["run by"], b.Notes["not run"]
		switch {
		case b.Language != "sh" && b.Language != "console":
			if m := typed.FindString(b.Text); m != "" && b.Notes["from"] == "" {
				faults = append(faults, at(p, b.Line, "%q is a command: the block's language is sh or console", m))
			}
		case by != "" && !project.tests[by]:
			faults = append(faults, at(p, b.Line, "run by %s: there is no such test", by))
		case by == "" && len(why) < 10 && !played[p.Path] && !other:
			faults = append(faults, at(p, b.Line, "commands that no test runs: say by which one, or why not (package pages)"))
		}
	}
	return faults
}

// links wants links within the project to lead somewhere, anchors too.
func links(project *project, p *pages.Page) (faults []string) {
	for _, l := range p.Links {
		if strings.Contains(l.Text, "://") {
			if !strings.HasPrefix(l.Text, "https://") {
				faults = append(faults, at(p, l.Line, "link to %s: want https", l.Text))
			}
			continue
		}
		path, anchor, _ := strings.Cut(l.Text, "#")
		target := p
		if path != "" {
			name := filepath.Join(filepath.Dir(p.Path), path)
			if !project.files[name] {
				faults = append(faults, at(p, l.Line, "link to %s: there is no %s", l.Text, name))
				continue
			}
			if i := slices.IndexFunc(project.pages, func(p *pages.Page) bool { return p.Path == name }); i >= 0 {
				target = project.pages[i]
			}
		}
		if anchor != "" && !slices.Contains(target.Anchors(), anchor) {
			faults = append(faults, at(p, l.Line, "link to %s: no such heading", l.Text))
		}
	}
	return faults
}

// foreign are names of files that are not in this project: Kong's, nginx's, Go's,
// the reader's own, and what is made when something is built or run.
var foreign = []string{
	"kong.conf", "kong.yml", "go.mod", "go.sum", "main.go", "main_test.go", "kong.json", "handler.lua", "schema.lua", "libkongring.so",
	"error.log", "file.json", "kongring-requests.txt", "kongring-installed.json", "my-plugin.socket", "kong.init.lua",
}

// placeholder is a part of a name that stands for the reader's own.
var placeholder = regexp.MustCompile(`\b(NAME|DIR|PREFIX|PATH|FILE)\b`)

var fileName = regexp.MustCompile(`^[\w./@-]+\.(go|lua|md|c|h|pml|svg|png|txt|json|service|socket|so|conf|yml|sum|mod|log|js|sh)$`)

// files wants files that are named to be there: by their path from the root or
// from the page, or somewhere, where only the last part is said.
func files(project *project, p *pages.Page) (faults []string) {
	for _, c := range p.Code {
		name := strings.TrimPrefix(c.Text, "./")
		if !fileName.MatchString(name) || strings.HasPrefix(name, "/") || slices.Contains(foreign, filepath.Base(name)) ||
			placeholder.MatchString(name) {
			continue
		}
		if project.files[name] || project.files[filepath.Join(filepath.Dir(p.Path), name)] ||
			!strings.Contains(name, "/") && project.bases[name] {
			continue
		}
		faults = append(faults, at(p, c.Line, "file %s: it is not here", name))
	}
	return faults
}

// said gives what is said in the page as code: spans, and lines of blocks.
func said(p *pages.Page) (all []pages.Span) {
	all = slices.Clone(p.Code)
	for _, b := range p.Blocks {
		if b.Language != "sh" && b.Language != "console" && b.Language != "ini" {
			continue
		}
		for i, line := range strings.Split(strings.ReplaceAll(b.Text, "\\\n", "  "), "\n") {
			command, prompted := strings.CutPrefix(line, "$ ")
			if b.Language == "console" && !prompted {
				continue
			}
			all = append(all, pages.Span{Text: command, Line: b.Line + 1 + i})
		}
	}
	return all
}

var (
	makeCommand = regexp.MustCompile(`(?:^|\s)make (?:-C \S+ )?([a-z][a-z0-9-]*)((?: [A-Z_]+=\S*)*)`)
	variable    = regexp.MustCompile(`[A-Z_]+=`)
)

// makes wants targets of make that are named to exist, and their variables too.
func makes(project *project, p *pages.Page) (faults []string) {
	file := project.source["Makefile"]
	for _, c := range said(p) {
		m := makeCommand.FindStringSubmatch(" " + c.Text)
		if m == nil {
			continue
		}
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(file) {
			faults = append(faults, at(p, c.Line, "make %s: no such target", m[1]))
		}
		for _, v := range variable.FindAllString(m[2], -1) {
			if !strings.Contains(file, "$("+strings.TrimSuffix(v, "=")+")") {
				faults = append(faults, at(p, c.Line, "make %s %s: the Makefile does not look at it", m[1], v))
			}
		}
	}
	return faults
}

var ownVariable = regexp.MustCompile(`KONGRING_[A-Z_]+`)

// environment wants variables of ours that are named to be read somewhere.
func environment(project *project, p *pages.Page) (faults []string) {
	for _, c := range said(p) {
		for _, name := range ownVariable.FindAllString(c.Text, -1) {
			if !project.variables[name] {
				faults = append(faults, at(p, c.Line, "%s: nothing reads it", name))
			}
		}
	}
	return faults
}

var symbol = regexp.MustCompile(`\bserver\.([A-Z]\w*)`)

// symbols wants what is named of package server to be exported by it.
func symbols(project *project, p *pages.Page) (faults []string) {
	for _, c := range p.Code {
		for _, m := range symbol.FindAllStringSubmatch(c.Text, -1) {
			if !project.exports[m[1]] && !strings.Contains(c.Text, "/server."+m[1]) {
				faults = append(faults, at(p, c.Line, "%s: package server has no such thing", m[0]))
			}
		}
	}
	return faults
}

var (
	namedTest = regexp.MustCompile("^([a-z/0-9]+) (Test[A-Za-z]+)$")
	bareTest  = regexp.MustCompile("^Test[A-Z][A-Za-z]+$")
)

// tests wants tests that are named to be where the page says.
func tests(project *project, p *pages.Page) (faults []string) {
	for _, c := range p.Code {
		if m := namedTest.FindStringSubmatch(c.Text); m != nil && !project.tests[c.Text] {
			faults = append(faults, at(p, c.Line, "%s: there is no such test", c.Text))
		}
		if bareTest.MatchString(c.Text) && !slices.ContainsFunc(project.testNames(), func(n string) bool { return n == c.Text }) {
			faults = append(faults, at(p, c.Line, "%s: there is no such test", c.Text))
		}
	}
	return faults
}

func (p *project) testNames() (names []string) {
	for name := range p.tests {
		_, last, _ := strings.Cut(name, " ")
		names = append(names, last)
	}
	return names
}

// logTexts wants what stands in the first column of the table of symptoms to be
// something that the server or the bridge writes, or Linux.
func logTexts(project *project, p *pages.Page) (faults []string) {
	if !strings.Contains(p.Text, "\n| symptom |") {
		return nil
	}
	_, table, _ := strings.Cut(p.Text, "\n| symptom |")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " |")
		for _, c := range pages.Parse(p.Path, first).Code {
			if c.Text != "Permission denied" && !project.in("server/", c.Text) && !project.in("luabridge/kongring/", c.Text) {
				faults = append(faults, at(p, 0, "nobody writes %q into a log", c.Text))
			}
		}
	}
	return faults
}

// sources wants Go, whole files or pieces, to be as gofmt has it, and JSON to be
// some.
func sources(_ *project, p *pages.Page) (faults []string) {
	for _, b := range p.Blocks {
		switch b.Language {
		case "go":
			formatted, err := format.Source([]byte(b.Text))
			if err != nil {
				faults = append(faults, at(p, b.Line, "%v", err))
			} else if string(formatted) != b.Text {
				faults = append(faults, at(p, b.Line, "gofmt has it otherwise: %s", formatted))
			}
		case "json":
			if !json.Valid([]byte(b.Text)) {
				faults = append(faults, at(p, b.Line, "this is no JSON"))
			}
		}
	}
	return faults
}
