package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// At a reload Kong's old worker ends the plugin server that it has started, and
// the new one starts another: at that moment, or seconds later when it has read
// all of its configuration. So the old server goes on until the new one has
// taken the socket over, Kong is gone, or this time is over.
const (
	successionTime = 10 * time.Second
	successionLook = 10 * time.Millisecond
)

// awaitSuccessor waits for the end of the server's time after it was told to
// stop: at once, unless Kong started it.
func (s *Server) awaitSuccessor() {
	if s.master == 0 {
		return
	}
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	s.options.logger.Info("told to stop; goes on until the next server listens")
	for end := time.Now().Add(successionTime); time.Now().Before(end); time.Sleep(successionLook) {
		if listener.Replaced() || errors.Is(syscall.Kill(s.master, 0), syscall.ESRCH) {
			return
		}
	}
}

// replaced tells whether another server has the socket now.
func (s *Server) replaced() bool {
	if s.succeeded.Load() {
		return true
	}
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	return listener != nil && listener.Superseded()
}

// kongMaster is the process id of the nginx master one of whose workers started
// this process, 0 where somebody else did.
func kongMaster() int {
	worker := os.Getppid()
	master := parent(worker)
	if nameOf(worker) != "nginx" || nameOf(master) != "nginx" {
		return 0
	}
	return master
}

// nameOf is the name of a process, "" if it cannot be known.
func nameOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}

// parent is the parent of a process, 0 if it cannot be known.
func parent(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "\nPPid:")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line))
	return n
}
