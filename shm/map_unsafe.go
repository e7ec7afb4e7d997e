//go:build linux

package shm

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFile maps a whole file of size bytes between two pages that nobody may
// touch: who gets past either end dies there, and reads or writes nothing.
func mapFile(fd int, size uint32) ([]byte, error) {
	guard := uintptr(os.Getpagesize())
	room := (uintptr(size)+guard-1)&^(guard-1) + 2*guard
	start, err := unix.MmapPtr(-1, 0, nil, room, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	mem, err := unix.MmapPtr(fd, 0, unsafe.Add(start, guard), uintptr(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE|unix.MAP_FIXED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mmap: %w", err), unix.MunmapPtr(start, room))
	}
	return unsafe.Slice((*byte)(mem), size), nil
}

// unmapFile unmaps what mapFile mapped, and its guards.
func unmapFile(mem []byte) error {
	guard := uintptr(os.Getpagesize())
	room := (uintptr(len(mem))+guard-1)&^(guard-1) + 2*guard
	if err := unix.MunmapPtr(unsafe.Add(unsafe.Pointer(&mem[0]), -int(guard)), room); err != nil {
		return fmt.Errorf("munmap: %w", err)
	}
	return nil
}
