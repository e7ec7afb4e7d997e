package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Page is one file of Markdown.
type Page struct {
	Path   string
	Text   string
	Blocks []Block // the fenced ones, in order
	Code   []Span  // what stands in backticks, outside of blocks
	Links  []Span  // where links and pictures lead
	prose  []string
}

// Block is a fenced block.
type Block struct {
	Language string            // behind the fence
	Text     string            // what is between the fences
	Line     int               // of the opening fence, from 1
	Heading  string            // that it stands below
	Notes    map[string]string // the comments above it, see the package
}

// Span is a piece of a page.
type Span struct {
	Text string
	Line int // where its paragraph begins
}

// Command is one of a console, with what it prints.
type Command struct{ Line, Output string }

const fence = "```"

var (
	note = regexp.MustCompile(`^<!-- ([a-z ]+): (.*) -->$`)
	code = regexp.MustCompile("`([^`]+)`")
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// Read reads a page.
func Read(path string) (*Page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(text)), nil
}

// Parse takes a page apart that lies, or would lie, at path.
func Parse(path, text string) *Page {
	p := &Page{Path: path, Text: text}
	p.parse()
	return p
}

func (p *Page) parse() {
	var block *Block
	heading, notes := "", map[string]string{}
	for i, line := range strings.Split(p.Text, "\n") {
		opened, isFence := strings.CutPrefix(line, fence)
		switch {
		case block != nil && isFence:
			p.Blocks = append(p.Blocks, *block)
			block = nil
			p.prose = append(p.prose, "")
			continue
		case block != nil:
			block.Text += line + "\n"
			p.prose = append(p.prose, "")
			continue
		case isFence:
			block = &Block{Language: opened, Line: i + 1, Heading: heading, Notes: notes}
			notes = map[string]string{}
			p.prose = append(p.prose, "")
			continue
		}
		if m := note.FindStringSubmatch(line); m != nil {
			notes[m[1]] = m[2]
			line = ""
		} else if line != "" {
			clear(notes)
		}
		if title, ok := headingOf(line); ok {
			heading = title
		}
		p.prose = append(p.prose, line)
	}
	p.spans()
}

// spans finds what stands in backticks, and links, paragraph by paragraph: either
// may begin in one line and end in the next.
func (p *Page) spans() {
	for i := 0; i < len(p.prose); {
		end := i
		for end < len(p.prose) && p.prose[end] != "" {
			end++
		}
		paragraph := strings.Join(p.prose[i:end], " ")
		for _, m := range code.FindAllStringSubmatch(paragraph, -1) {
			p.Code = append(p.Code, Span{strings.ReplaceAll(m[1], `\|`, "|"), i + 1})
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(paragraph, ""), -1) {
			p.Links = append(p.Links, Span{m[1], i + 1})
		}
		i = end + 1
	}
}

func headingOf(line string) (title string, ok bool) {
	title = strings.TrimLeft(line, "#")
	if title == line || !strings.HasPrefix(title, " ") {
		return "", false
	}
	return strings.TrimSpace(title), true
}

// Anchors are the names of the page's headings in links, as GitHub makes them.
func (p *Page) Anchors() (names []string) {
	for _, line := range p.prose {
		title, ok := headingOf(line)
		if !ok {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		names = append(names, name)
	}
	return names
}

// Below gives the blocks of a language below a heading.
func (p *Page) Below(heading, language string) []Block {
	return slices.DeleteFunc(slices.Clone(p.Blocks), func(b Block) bool {
		return b.Heading != heading || b.Language != language
	})
}

// Commands are those of a console.
func (b Block) Commands() (all []Command) {
	for line := range strings.Lines(b.Text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, Command{Line: strings.TrimSuffix(command, "\n")})
		} else if len(all) > 0 {
			all[len(all)-1].Output += line
		}
	}
	return all
}

// All reads the pages below a folder, those of nested modules too.
func All(root string) (pages []*Page, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		page, err := Read(path)
		pages = append(pages, page)
		return err
	})
	return pages, err
}
