package main

import (
	"bufio"
	"log"
	"os"
	"path/filepath"
	"sync"
)

// sink writes lines to a file from a goroutine of its own, so that no request
// waits for the disk. There is one for each file.
type sink struct{ lines chan []byte }

var (
	sinksMu sync.Mutex
	sinks   = map[string]*sink{}
)

// sinkFor gives the sink of a file; the environment says where relative paths
// start.
func sinkFor(path string) *sink {
	if !filepath.IsAbs(path) {
		path = filepath.Join(os.Getenv("REQLOG_DIR"), path)
	}
	sinksMu.Lock()
	defer sinksMu.Unlock()
	s := sinks[path]
	if s == nil {
		s = &sink{lines: make(chan []byte, 1024)}
		sinks[path] = s
		go s.run(path)
	}
	return s
}

// write gives false when the disk cannot keep up.
func (s *sink) write(line []byte) bool {
	select {
	case s.lines <- line:
		return true
	default:
		return false
	}
}

func (s *sink) run(path string) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Printf("reqlog: %v", err)
		for range s.lines { // lost, but nobody waits
		}
		return
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	for line := range s.lines {
		_, err := w.Write(append(line, '\n'))
		if len(s.lines) == 0 && err == nil {
			err = w.Flush()
		}
		if err != nil {
			log.Printf("reqlog: %v", err)
			w.Reset(file)
		}
	}
}
