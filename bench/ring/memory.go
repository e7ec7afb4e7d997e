package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/ring"
)

const capacity = 512 << 10 // bytes in either ring, as a session has by default

func newMemory() (*os.File, []byte, error) {
	fd, err := unix.MemfdCreate("kongring-bench", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("memfd_create: %w", err)
	}
	if err := unix.Ftruncate(fd, 2*int64(ringSize())); err != nil {
		return nil, nil, fmt.Errorf("ftruncate: %w", err)
	}
	mem, err := mapMemory(fd)
	return os.NewFile(uintptr(fd), "memory"), mem, err
}

func mapMemory(fd int) ([]byte, error) {
	mem, err := unix.Mmap(fd, 0, 2*ringSize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, nil
}

// ringSize is what a ring takes, and the second starts on a page.
func ringSize() int { return (ring.Size(capacity) + 4095) &^ 4095 }

// rings gives two rings, of which the first leads to the second process.
func rings(mem []byte) [2][]byte {
	return [2][]byte{mem[:ring.Size(capacity)], mem[ringSize():][:ring.Size(capacity)]}
}
