package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine describes where the figures come from, one fact a line.
func Machine() string {
	var name unix.Utsname
	_ = unix.Uname(&name)
	luajit := "none"
	if out, err := exec.Command("luajit", "-v").Output(); err == nil {
		luajit, _, _ = strings.Cut(string(out), " --")
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("CPU     %s, %d cores seen%s\nkernel  %s\nGo      %s %s/%s\nLuaJIT  %s\nload    %s\n",
		cpuModel(), runtime.NumCPU(), hypervisor(), unix.ByteSliceToString(name.Release[:]),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, luajit, bytes.TrimSpace(load))
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// hypervisor says so where the cores are virtual.
func hypervisor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	if bytes.Contains(info, []byte(" hypervisor")) {
		return ", virtual"
	}
	return ""
}
