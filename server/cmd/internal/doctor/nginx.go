package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Kong's own number of timers, and of descriptors below which it warns itself.
const (
	leastTimers = 4096
	leastFiles  = 4096
)

// nginx looks at what Kong's nginx is told, and at its processes if it runs.
func (s settings) nginx(m machine, r *report) {
	s.workers(r)
	s.files(m, r)
	s.bound(m, r)

	timers, known := s.directive("lua_max_running_timers")
	n, err := strconv.Atoi(timers)
	switch {
	case !known:
		r.ok("timers", "lua_max_running_timers is Kong's own")
	case err != nil || n < leastTimers:
		r.add(Warning, "timers", fmt.Sprintf("nginx_http_lua_max_running_timers = %d in kong.conf: log events and new instances run in timers", leastTimers), "lua_max_running_timers is %s", timers)
	default:
		r.ok("timers", "lua_max_running_timers is %d", n)
	}
	if abort, _ := s.directive("lua_check_client_abort"); abort == "on" {
		r.add(Error, "abort", "leave out nginx_http_lua_check_client_abort, and the directive in templates", "lua_check_client_abort is on: a worker crashes when a client leaves a waiting plugin")
	} else {
		r.ok("abort", "lua_check_client_abort is off")
	}
}

// directive gives a directive of nginx: as Kong has written it for the nginx
// that runs, or as its settings say.
func (s settings) directive(name string) (value string, known bool) {
	form := regexp.MustCompile(`(?m)^\s*` + name + `\s+(\S+?)\s*;`)
	files, _ := filepath.Glob(filepath.Join(s["prefix"], "nginx*.conf"))
	for _, path := range files {
		text, _ := os.ReadFile(path)
		for _, found := range form.FindAllStringSubmatch(string(text), -1) {
			value, known = found[1], true
			if name == "lua_check_client_abort" && value == "on" {
				return value, true
			}
		}
	}
	if set := s["nginx_http_"+name]; !known && set != "" {
		return set, true
	}
	return value, known
}

// workers compares the number of workers with that of cores.
func (s settings) workers(r *report) {
	cores := runtime.NumCPU() // that may be used here
	text := s["nginx_worker_processes"]
	workers, err := strconv.Atoi(text)
	switch {
	case text == "auto":
		workers = cores
	case err != nil:
		r.add(Warning, "workers", "give nginx_worker_processes a number, or auto", "nginx_worker_processes is %q", text)
		return
	}
	const fix = "nginx_worker_processes of fewer than the cores leave one to the plugin servers"
	switch {
	case workers > cores:
		r.add(Warning, "workers", fix, "%d workers on %d cores", workers, cores)
	case workers == cores:
		r.add(Note, "workers", fix, "%d workers on %d cores", workers, cores)
	default:
		r.ok("workers", "%d on %d cores", workers, cores)
	}
}

// master is the process id of Kong's nginx, "" if it does not run.
func (s settings) master(m machine) string {
	text, _ := os.ReadFile(filepath.Join(s["prefix"], "pids", "nginx.pid"))
	pid := strings.TrimSpace(string(text))
	if _, err := strconv.Atoi(pid); err != nil || m.read("/proc/"+pid+"/comm") != "nginx" {
		return ""
	}
	return pid
}

// files looks at how many descriptors Kong may have, or, while it does not run,
// a process started here.
func (s settings) files(m machine, r *report) {
	whose, pid := "Kong", s.master(m)
	if pid == "" {
		whose, pid = "a process started here", "self"
	}
	limit, _, _ := strings.Cut(word(m.read("/proc/"+pid+"/limits"), "Max open files"), " ")
	n, err := strconv.Atoi(limit)
	switch {
	case limit == "":
		r.add(Note, "files", "run this as root or as Kong's user", "cannot see how many open files %s may have", whose)
	case err == nil && n < leastFiles:
		r.add(Warning, "files", "ulimit -n 65536 before the start, or LimitNOFILE=65536 in the unit", "%s may have %d open files", whose, n)
	default:
		r.ok("files", "%s may have %s open files", whose, limit)
	}
}

// bound looks for workers that share the one core they are bound to.
func (s settings) bound(m machine, r *report) {
	master := s.master(m)
	if master == "" {
		r.add(Note, "kong", "start it for the checks of its processes", "it does not run at %s", s["prefix"])
		return
	}
	on := map[string]int{}
	children := strings.Fields(m.read("/proc/" + master + "/task/" + master + "/children"))
	for _, pid := range children {
		cores := word(m.read("/proc/"+pid+"/status"), "Cpus_allowed_list:")
		if on[cores]++; len(ranges(cores)) == 1 && on[cores] > 1 {
			r.add(Warning, "bound", "nginx_main_worker_cpu_affinity = auto in kong.conf", "%d processes of nginx are bound to core %s", on[cores], cores)
			return
		}
	}
	r.ok("kong", "nginx runs as %s, with %d processes", master, len(children))
}
