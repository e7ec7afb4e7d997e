package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// page is the manual page of a command with all that are below it.
func page(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" %q \"User Commands\"\n", strings.ToUpper(cmd.Name()), cmd.Name())
	section(&b, "NAME", escaped(cmd.Name())+` \- `+escaped(cmd.Short)+"\n")
	section(&b, "SYNOPSIS", ".B "+escaped(cmd.Name())+"\n.I COMMAND\n[\\fIFLAG\\fR]... [\\fIARGUMENT\\fR]...\n")
	b.WriteString(".SH COMMANDS\n")
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			command(&b, sub)
		}
	}
	section(&b, "EXIT STATUS", "0 is success, 2 a command line that makes no sense, 1 anything else, and what was found by\n"+
		".BR \"kongring doctor\" .\nA signal ends a command with 128 and its number.\n")
	section(&b, "SEE ALSO", "https://github.com/kongring/kongring\n")
	return b.String()
}

// command writes what is said of one command.
func command(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, ".SS %s\n", escaped(cmd.UseLine()))
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.Contains("\n"+paragraph, "\n ") { // a table
			asItIs(b, paragraph)
		} else {
			b.WriteString(escaped(paragraph) + "\n")
		}
	}
	for _, part := range []struct{ title, text string }{
		{"Flags:", cmd.LocalFlags().FlagUsages()},
		{"Examples:", cmd.Example},
	} {
		if part.text != "" {
			fmt.Fprintf(b, ".PP\n%s\n.PP\n", part.title)
			asItIs(b, strings.TrimRight(part.text, "\n"))
		}
	}
}

func section(b *strings.Builder, title, text string) { fmt.Fprintf(b, ".SH %s\n%s", title, text) }

// asItIs writes lines that man leaves as they are.
func asItIs(b *strings.Builder, text string) { b.WriteString(".nf\n" + escaped(text) + "\n.fi\n") }

var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)

// escaped makes text of what man would take for its own language.
func escaped(text string) string {
	lines := strings.Split(special.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
