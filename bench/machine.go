package bench

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Facts say where figures come from.
type Facts struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"` // that this process may use
	Virtual  bool   `json:"virtual"`
	Kernel   string `json:"kernel"`
	Governor string `json:"governor"` // of the clock, "none" where nobody governs it
	Go       string `json:"go"`
	Nginx    string `json:"nginx"`  // its version, "none" where it is not installed
	LuaJIT   string `json:"luajit"` // of the command, "none" where it is not installed
	Load     string `json:"load"`   // as in /proc/loadavg
}

// Look gathers the facts of this machine.
func Look() Facts {
	var name unix.Utsname
	_ = unix.Uname(&name)
	load, _ := os.ReadFile("/proc/loadavg")
	// Debian has nginx where other users' PATH does not look.
	nginx := cmp.Or(version("nginx", "-v"), version("/usr/sbin/nginx", "-v"), "none")
	info, _ := os.ReadFile("/proc/cpuinfo")
	governor, _ := os.ReadFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	return Facts{
		CPU: cpuModel(info), Cores: runtime.NumCPU(), Virtual: bytes.Contains(info, []byte(" hypervisor")),
		Kernel:   unix.ByteSliceToString(name.Release[:]),
		Go:       fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		Nginx:    strings.TrimPrefix(nginx, "nginx version: nginx/"),
		Governor: cmp.Or(strings.TrimSpace(string(governor)), "none"),
		LuaJIT:   cmp.Or(version("luajit", "-v"), "none"),
		Load:     strings.TrimSpace(string(load)),
	}
}

// Name makes a folder's name of the processor, such as amd-epyc-2-cores-vm.
func (f Facts) Name() string {
	words := regexp.MustCompile(`(?i)\((r|tm)\)|\b(cpu|processor|[0-9]+-core)\b|@.*`).ReplaceAllString(f.CPU, " ")
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(words), "-")
	name = fmt.Sprintf("%s-%d-cores", cmp.Or(strings.Trim(name, "-"), "unknown"), f.Cores)
	if f.Virtual {
		name += "-vm"
	}
	return name
}

// CPUs lists the CPUs that this process may use.
func CPUs() (cpus []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// Machine describes where the figures come from, one fact a line.
func Machine() string {
	f := Look()
	virtual := ""
	if f.Virtual {
		virtual = ", virtual"
	}
	return fmt.Sprintf("CPU     %s, %d cores seen%s\nkernel  %s\nGo      %s\nLuaJIT  %s\nload    %s\n",
		f.CPU, f.Cores, virtual, f.Kernel, f.Go, f.LuaJIT, f.Load)
}

// version gives what a program says of itself, "" when there is none.
func version(program, flag string) string {
	out, err := exec.Command(program, flag).CombinedOutput()
	if err != nil {
		return ""
	}
	text, _, _ := strings.Cut(string(out), " --")
	return strings.TrimSpace(text)
}

func cpuModel(info []byte) string {
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
