package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// loop is a plugin under development. One goroutine uses it.
type loop struct {
	project    *project
	watcher    *watcher
	temporary  string // folder for what is built
	args       []string
	installDir string
	out        io.Writer // of the servers
	console    *console

	turns   int
	serving *process   // nil while there is none
	leaving []*process // that hand over to a newer one
	known   description
	blind   bool // it was said that folders cannot be watched
}

// run takes one turn after the other until ctx ends.
func (l *loop) run(ctx context.Context) error {
	for {
		if err := l.turn(ctx); err != nil {
			return err
		}
		if err := l.wait(ctx); err != nil {
			return err
		}
	}
}

// wait waits for a change.
func (l *loop) wait(ctx context.Context) error {
	for {
		var ended <-chan struct{} // never, of none
		if l.serving != nil {
			ended = l.serving.ended
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.watcher.changed:
			return nil
		case <-ended:
			l.console.say("the server, pid %d, has ended, %s: the next save starts it again", l.serving.pid, l.serving.state)
			l.serving = nil
		}
	}
}

// turn builds the program and puts it in the place of the one that runs. What goes
// wrong is said, and leaves that one; the error is the end of all.
func (l *loop) turn(ctx context.Context) error {
	l.turns++
	into := filepath.Join(l.temporary, strconv.Itoa(l.turns))
	next, err := l.build(ctx, into)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.watcher.broken(err != nil)
	switch {
	case err != nil:
		var said notGo
		if errors.As(err, &said) {
			fmt.Fprintln(l.console, said.text)
			err = errors.New("it does not build")
		}
		l.console.say("%v: %s", err, l.rest())
	case l.serving != nil && l.serving.sum == next.sum:
		l.console.say("built in %s: the program is the same", brief(next.took))
	default:
		if err := l.replace(ctx, next); err != nil {
			return err
		}
	}
	l.sweep()
	return nil
}

// rest says what is left when a turn came to nothing.
func (l *loop) rest() string {
	if l.serving == nil || l.serving.gone() {
		return "the next save tries again"
	}
	return fmt.Sprintf("pid %d serves on", l.serving.pid)
}

// build watches what the program is made of now, and builds it. In this order: what
// is saved meanwhile makes another turn.
func (l *loop) build(ctx context.Context, into string) (program, error) {
	from, err := l.project.sources(ctx)
	if err := l.watcher.add(l.project.root, from); err != nil && !l.blind {
		l.blind = true
		l.console.say("folders cannot be watched: %s", advice(err))
	}
	if err != nil {
		return program{}, err
	}
	return l.project.build(ctx, into)
}

// replace starts a new server and lets the old one hand over to it.
func (l *loop) replace(ctx context.Context, next program) error {
	now, err := describe(ctx, next.path, l.args)
	if err == nil {
		err = l.start(ctx, next, now.SocketPath)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		l.console.say("built in %s, but %v: %s", brief(next.took), err, l.rest())
		return nil
	}
	l.console.say("built in %s: pid %d serves at %s", brief(next.took), l.serving.pid, now.SocketPath)
	before := l.known
	l.known = now
	l.install(ctx, before)
	return nil
}

// start starts a server, and has the old one hand over once the new one listens.
// If it never does, the old one stays; and one that has lost its socket meanwhile is
// started again.
func (l *loop) start(ctx context.Context, next program, socket string) error {
	old := l.serving
	s, err := launch(next, l.args, l.out, l.console.writer())
	if err != nil {
		return err
	}
	if err := s.listens(ctx, socket); err != nil {
		s.stop()
		_ = s.end(time.After(endTime))
		if old != nil && old.sum != next.sum && !old.gone() && ctx.Err() == nil && !serves(socket, old.pid) {
			if again := l.start(ctx, old.program, socket); again != nil {
				l.console.say("the program before it does not start any more: %v", again)
			}
		}
		return err
	}
	if old != nil {
		old.stop()
		l.leaving = append(l.leaving, old)
	}
	l.serving = s
	return nil
}

// sweep forgets the servers that have handed over, and removes their programs.
func (l *loop) sweep() {
	l.leaving = slices.DeleteFunc(l.leaving, func(s *process) bool {
		if s.gone() && !s.ok {
			l.console.say("the old server, pid %d, ended badly: %s", s.pid, s.state)
		}
		return s.gone()
	})
	used := map[string]bool{}
	for _, s := range l.all() {
		used[filepath.Dir(s.path)] = true
	}
	folders, _ := filepath.Glob(filepath.Join(l.temporary, "*"))
	for _, folder := range folders {
		if !used[folder] {
			_ = os.RemoveAll(folder)
		}
	}
}

// all are the servers that were started and may still be there.
func (l *loop) all() []*process {
	if l.serving == nil {
		return l.leaving
	}
	return append(slices.Clone(l.leaving), l.serving)
}

// end ends all servers, the one that serves last.
func (l *loop) end() {
	patience := time.After(endTime)
	for _, s := range l.all() {
		s.stop()
	}
	for _, s := range l.all() {
		if err := s.end(patience); err != nil {
			l.console.say("the server, pid %d: %v", s.pid, err)
		}
	}
	// A server that was killed, or has crashed, leaves its socket.
	if socket, err := net.Dial("unix", l.known.SocketPath); err == nil {
		_ = socket.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(l.known.SocketPath)
	}
}

// advice says what to do about an error of the watcher.
func advice(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return line + ": raise fs.inotify.max_user_watches, or max_user_instances"
	}
	return line
}

// brief is a time for people, in seconds whatever it is.
func brief(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }
