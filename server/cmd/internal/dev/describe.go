package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/kongring/kongring/server/cmd/internal/install"
)

// describeTime is how long a program may take to describe its plugins.
const describeTime = 30 * time.Second

// description is what a plugin server says of itself.
type description struct {
	SocketPath string
	Plugins    json.RawMessage // all that Kong's modules are made of
}

// describe asks a program, with the flags of its server.
func describe(ctx context.Context, program string, args []string) (d description, err error) {
	if !install.BuiltWith(program) {
		return d, errors.New("it is no plugin of kongring: its main calls server.StartServer or server.Run")
	}
	limited, cancel := context.WithTimeout(ctx, describeTime)
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(limited, program, append([]string{"-dump"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &said, time.Second
	err = cmd.Run()
	line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case limited.Err() != nil:
		return d, fmt.Errorf("it did not describe its plugins within %v", describeTime)
	case err != nil:
		return d, fmt.Errorf("it does not start, %w: %s", err, line)
	}
	if err := json.Unmarshal(out.Bytes(), &d); err != nil || d.SocketPath == "" {
		return d, fmt.Errorf("its flag -dump printed no description: %.80q", out.String())
	}
	return d, nil
}

// install writes Kong's modules where they are to be kept up to date, and says
// when Kong has to read them.
func (l *loop) install(ctx context.Context, before description) {
	first := before.Plugins == nil
	if bytes.Equal(before.Plugins, l.known.Plugins) {
		return
	}
	if l.installDir == "" {
		if !first {
			l.console.say("its schema, phases, version or priority changed: install it, and reload Kong, for Kong to know")
		}
		return
	}
	changed, err := install.Modules(ctx, l.serving.path, l.args, l.installDir)
	switch {
	case err != nil:
		l.known.Plugins = nil // once more with the next program
		l.console.say("its modules were not written: %v", err)
	case changed:
		l.console.say("its modules in %s changed: reload Kong (kong reload) for it to read them", l.installDir)
	}
}
