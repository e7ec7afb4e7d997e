package doctor

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/shm"
)

// patience is how long a server may take to answer.
const patience = 2 * time.Second

// What the handler says that a plugin's -install writes.
var (
	byBridge = regexp.MustCompile(`require\s*\(?\s*["']kongring\.handler["']`)
	atSocket = regexp.MustCompile(`(?m)^\s*socket = ("(?:[^"\\]|\\.)*")`)
)

// plugins looks for the modules of Kong's plugins, and gives the sockets of
// those that go through the bridge.
func (s settings) plugins(r *report) (sockets []string) {
	servers := s.list("pluginserver_names")
	for _, name := range s.list("plugins") {
		if name == "bundled" || name == "off" {
			continue
		}
		path := s.find("kong.plugins." + name + ".handler")
		if path == "" {
			if slices.Contains(servers, name) {
				r.add(Warning, "plugin", "kongring install its binary, and have DIR/?.lua on lua_package_path", "%s has no handler.lua: Kong calls it the stock way, slowly", name)
			} else {
				r.add(Error, "plugin", "kongring install its binary, and have DIR/?.lua on lua_package_path", "%s has no handler.lua on Kong's Lua path", name)
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			r.add(Error, "plugin", "let Kong's user read it", "%v", err)
			continue
		}
		if !byBridge.Match(text) {
			continue // in Lua
		}
		found := atSocket.FindSubmatch(text)
		if found == nil {
			r.add(Error, "plugin", "kongring install its binary again", "%s names no socket", path)
			continue
		}
		socket, err := strconv.Unquote(string(found[1]))
		if err != nil {
			r.add(Error, "plugin", "kongring install its binary again", "%s names the socket %s", path, found[1])
			continue
		}
		r.ok("plugin", "%s, by the bridge, at %s", name, socket)
		if !slices.Contains(sockets, socket) {
			sockets = append(sockets, socket)
		}
	}
	return sockets
}

// workerUser is the number of the user that Kong's workers run as.
func (s settings) workerUser() (uid int, name string) {
	if os.Getuid() != 0 {
		return os.Getuid(), "this user"
	}
	name, _, _ = strings.Cut(s["nginx_user"], " ")
	if name == "" {
		if name = "nobody"; known("kong") {
			name = "kong"
		}
	}
	if u, err := user.Lookup(name); err == nil {
		uid, _ = strconv.Atoi(u.Uid)
	}
	return uid, name
}

func known(name string) bool { _, err := user.Lookup(name); return err == nil }

// server looks at the socket of a plugin server, and asks it for its figures.
func (s settings) server(socket string, r *report) {
	info, err := os.Lstat(socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.add(Error, "server", "start the plugin server, or correct its -socket", "nobody listens at %s", socket)
		return
	case err != nil:
		r.add(Error, "server", "run this as root or as Kong's user; let that user into the folder", "%v", err)
		return
	case info.Mode()&fs.ModeSocket == 0:
		r.add(Error, "server", "move it away, and start the plugin server", "%s is no socket", socket)
		return
	}
	s.access(socket, info, r)
	stats, err := server.Inspect(socket, patience)
	switch {
	case err == nil:
		answered(socket, stats, r)
	case errors.Is(err, shm.ErrVersion):
		r.add(Error, "server", "build bridge, plugins and this command with one version of kongring", "%v", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, shm.ErrRefused):
		r.add(Error, "server", "run this as root or as the server's user", "%v", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		r.add(Error, "server", "start the plugin server: the one that made this socket is gone", "nobody listens at %s", socket)
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.add(Error, "server", "look at what holds it up (a SIGSTOP?), or restart it", "no answer from %s within %v", socket, patience)
	default:
		r.add(Error, "server", "let a plugin server of kongring listen there", "%v", err)
	}
}

// access looks at whether Kong's workers may connect.
func (s settings) access(socket string, info fs.FileInfo, r *report) {
	stat, has := info.Sys().(*syscall.Stat_t)
	uid, name := s.workerUser()
	if !has || uid == 0 || uid == int(stat.Uid) {
		r.ok("socket", "Kong's workers may connect to %s", socket)
		return
	}
	const fix = "run the plugin server as Kong's nginx_user, or give it that user by -allow-user"
	if info.Mode()&0o022 == 0 {
		r.add(Error, "socket", fix, "%s (mode %04o, user %d) keeps %s out", socket, info.Mode().Perm(), stat.Uid, name)
		return
	}
	r.add(Warning, "socket", fix, "%s is user %d's: its server refuses the user %s, unless it was given that one", socket, stat.Uid, name)
}

// answered looks at the figures of a server.
func answered(socket string, stats server.Stats, r *report) {
	slow := 0
	for _, session := range stats.Sessions {
		if session.Carrier == server.CarrierSocket.String() {
			slow++
		}
	}
	if slow > 0 {
		r.add(Warning, "server", "see the logs of both for the words \"shared memory\"; correct that, or accept less speed",
			"%d of %d workers talk to process %d over the socket", slow, len(stats.Sessions), stats.PID)
	}
	if stats.SessionsFailed > 0 || stats.Refused > 0 {
		r.add(Note, "server", "its log says why", "process %d had %d sessions fail, and refused %d connections", stats.PID, stats.SessionsFailed, stats.Refused)
	}
	r.ok("server", "process %d answers, with %d workers, at %s", stats.PID, len(stats.Sessions), socket)
}
