package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kongring/kongring/server/wire"
)

// classes say in METHODS.md who is asked, and when.
var classes = map[wire.Class]string{
	wire.ClassConstant: "constant",
	wire.ClassRequest:  "request",
	wire.ClassStable:   "stable",
	wire.ClassDynamic:  "dynamic",
	wire.ClassPosted:   "posted",
	wire.ClassChecked:  "checked",
	wire.ClassTerminal: "terminal",
}

// hosts are the phases that the host without Kong runs.
var hosts = []int{wire.PhaseCertificate, wire.PhaseRewrite, wire.PhaseAccess, wire.PhaseResponse, wire.PhaseLog}

func methodsMarkdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- %s -->\n", generated)
	found := kongFindings()
	b.WriteString(`# Methods of the PDK

The table behind it is [server/wire/method_table.go](../wire/method_table.go). Class:

| class | what a call costs |
|---|---|
| constant | asked once in a session of a worker, with arguments once in an event |
| request | asked once in an event; may come along with the event |
| stable | the same, until a write of the handler changes what it reads |
| dynamic | asked every time |
| posted | nothing: it travels with the next message |
| checked | a write that is asked for, every time, since it says whether it worked |
| terminal | nothing: it is the event's last message |

Phases are those of Kong, and of the plugin's handlers: C certificate, R rewrite, A access, E response, P preread, L log.
Host: the phases in which the nginx host without Kong (luabridge/host) runs the method. `)
	fmt.Fprintf(&b, `Kong %s: the phases in which
`+"`make test-kong`"+` found in that Kong that a plugin in Go gets what one in Lua does. Since: the first version of
Kong that has the method; the bridge needs 3.4.

| Lua | Go | class | phases | host | Kong %s | since |
|---|---|---|---|---|---|---|
`, found.Version, found.Version)
	rows := slices.Clone(wire.Methods[1:])
	slices.SortFunc(rows, func(a, b wire.Method) int { return cmp.Compare(a.Name, b.Name) })
	for _, m := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", m.Name, m.Go, classes[m.Class],
			phases(m.Phases, wire.PhaseCertificate, wire.PhaseRewrite, wire.PhaseAccess, wire.PhaseResponse,
				wire.PhasePreread, wire.PhaseLog),
			phases(m.Phases, hosts...), phases(found.phases(m.Name), hosts...), cmp.Or(m.Since, "3.4"))
	}
	return b.Bytes()
}

// phases gives the letters of those of the phases that are in the set.
func phases(set wire.Phases, all ...int) string {
	letters := [...]string{
		wire.PhaseCertificate: "C", wire.PhaseRewrite: "R", wire.PhaseAccess: "A",
		wire.PhaseResponse: "E", wire.PhasePreread: "P", wire.PhaseLog: "L",
	}
	var out []string
	for _, phase := range all {
		if set.Has(phase) {
			out = append(out, letters[phase])
		}
	}
	return cmp.Or(strings.Join(out, " "), "–")
}
