package host

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// defaultModulesDir is where Debian has modules, if nginx -V does not say.
const defaultModulesDir = "/usr/lib/nginx/modules"

// logTail is how many lines of a log an error carries.
const logTail = 50

// errNotStarted says that new workers do not start. The log says why.
var errNotStarted = errors.New("configuration is not accepted")

// build describes an installed nginx.
type build struct {
	nginx   string   // path of the executable
	modules []string // to be loaded, in this order
}

// findBuild looks for nginx and the Lua module, and that for stream where stream
// is wanted. An OpenResty has them linked in.
func findBuild(nginx string, stream bool) (build, error) {
	path, err := exec.LookPath(cmp.Or(nginx, "nginx"))
	if err != nil && nginx == "" {
		// Debian has it where other users' PATH does not look.
		path, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		return build{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}

	version, err := exec.Command(path, "-V").CombinedOutput()
	if err != nil {
		return build{}, fmt.Errorf("%w: run nginx -V: %w", ErrUnavailable, err)
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return bytes.Contains(version, []byte(name)) })
	}
	b := build{nginx: path}
	var names []string
	if !has("ngx_lua", "lua-nginx-module") {
		names = append(names, "ndk_http_module.so", "ngx_http_lua_module.so")
	}
	if stream && !has("ngx_stream_lua", "stream-lua-nginx-module") {
		names = append(names, "ngx_stream_module.so", "ngx_stream_lua_module.so")
	}

	dir := defaultModulesDir
	if match := regexp.MustCompile(`--modules-path=(\S+)`).FindSubmatch(version); match != nil {
		dir = string(match[1])
	}
	for _, name := range names {
		module := filepath.Join(dir, name)
		if _, err := os.Stat(module); err != nil {
			return build{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		b.modules = append(b.modules, module)
	}
	return b, nil
}

// pickAddress replaces port 0 by a free port, and says whether it did. The
// port may be taken again before nginx binds it.
func pickAddress(listen string) (address string, free bool, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", false, fmt.Errorf("listen address: %w", err)
	}
	if port != "0" {
		return net.JoinHostPort(host, port), false, nil
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return "", false, fmt.Errorf("find free port: %w", err)
	}
	defer listener.Close()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "", false, fmt.Errorf("find free port: %w", err)
	}
	return net.JoinHostPort(host, port), true, nil
}

// startFailure looks for what keeps nginx, or its next set of workers, from
// starting, in the log from offset on. It returns EADDRINUSE if the port is
// taken (nginx tries for seconds before it gives up), another error for
// anything else (after a reload nginx has no other way to say so), or nil.
func (h *Host) startFailure(offset int64) error {
	emergency := fmt.Sprintf("[emerg] %d#", h.process.pid)
	initError := fmt.Sprintf("[error] %d#", h.process.pid)
	taken := fmt.Sprintf("(%d: ", int(syscall.EADDRINUSE))

	for line := range strings.Lines(readFrom(h.path("error.log"), offset)) {
		switch {
		case strings.Contains(line, emergency) && strings.Contains(line, taken):
			return syscall.EADDRINUSE
		case strings.Contains(line, emergency),
			strings.Contains(line, initError) && strings.Contains(line, "init_by_lua error"):
			return errNotStarted
		}
	}
	return nil
}

// logError makes an error of the last lines that nginx wrote.
func (h *Host) logError(offset int64) error {
	text := readFrom(h.path("error.log"), offset)
	if text == "" {
		text = readFrom(h.path("console.log"), 0)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > logTail {
		lines = lines[len(lines)-logTail:]
	}
	return errors.New(strings.Join(lines, "\n"))
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// readFrom returns the file from an offset on; "" if that cannot be read.
func readFrom(path string, offset int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	content, err := io.ReadAll(io.NewSectionReader(file, offset, math.MaxInt64-offset))
	if err != nil {
		return ""
	}
	return string(content)
}
