package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrClosed ends waits on what was closed meanwhile.
var ErrClosed = os.ErrClosed

// ErrVersion is wrapped when the two sides were built from different versions
// of the layout or of what it carries.
var ErrVersion = errors.New("versions differ")

// ErrSegment is wrapped by the errors of Attach: the file is not a segment, or
// one that lies about itself.
var ErrSegment = errors.New("not a usable segment")

// seals that a segment has on both sides: it can neither shrink under a
// mapping nor grow, and nobody can add or take a seal.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Segment is a mapped segment. Its regions may be used by any goroutine until
// Close.
type Segment struct {
	header Header // private copy
	mem    []byte
	file   *os.File // nil when the memory is this process's own
}

// Create makes a segment with one region for each of sizes, in bytes, all of
// them zero. name is for /proc/PID/maps only; app and session stand in the
// header for the other side. It panics when there are more than MaxRegions
// sizes or one is not positive.
func Create(name string, app, session uint32, sizes ...int) (*Segment, error) {
	header, err := layOut(app, session, sizes)
	if err != nil {
		return nil, err
	}
	fd, err := memfd(name)
	if err != nil {
		return nil, fmt.Errorf("create segment: memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	s, err := fill(fd, header)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("create segment of %d bytes: %w", header.Size, err)
	}
	s.file = file
	return s, nil
}

// CreatePrivate makes a segment in the memory of this process, which cannot be
// handed over: the peer of a HelloAttachSocket makes one like it. The arguments
// are as in [Create]; it fails only where the sizes exceed the limit.
func CreatePrivate(app, session uint32, sizes ...int) (*Segment, error) {
	header, err := layOut(app, session, sizes)
	if err != nil {
		return nil, err
	}
	return private(header), nil
}

func private(h Header) *Segment {
	mem := make([]byte, h.Size)
	*headerAt(mem) = h
	return &Segment{header: h, mem: mem}
}

// memfd asks for a file that can never be executed where the kernel knows the
// flag (6.3 and newer).
func memfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, err
}

// layOut places the regions behind the header.
func layOut(app, session uint32, sizes []int) (Header, error) {
	if len(sizes) > MaxRegions {
		panic(fmt.Sprintf("shm: %d regions: the limit is %d", len(sizes), MaxRegions))
	}
	h := Header{
		Magic: Magic, Version: Version, App: app, Session: session,
		RegionSize: regionSize, Count: uint32(len(sizes)), CreatorPID: uint32(os.Getpid()),
	}
	end := int64(HeaderSize)
	for i, n := range sizes {
		if n <= 0 {
			panic(fmt.Sprintf("shm: region %d of %d bytes", i, n))
		}
		h.Regions[i] = Region{Offset: uint32(end), Size: uint32(n)}
		end += (int64(n) + RegionAlignment - 1) &^ (RegionAlignment - 1)
		if int64(n) > 1<<31 || end > 1<<31 {
			return Header{}, fmt.Errorf("create segment: region %d of %d bytes at %d: the limit is %d", i, n, h.Regions[i].Offset, 1<<31)
		}
	}
	h.Size = uint32(end)
	return h, nil
}

func fill(fd int, h Header) (*Segment, error) {
	// It has no name, but /proc/PID/fd of whoever holds it is one: the mode that
	// the kernel gives lets everyone in who can look there.
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return nil, fmt.Errorf("fchmod: %w", err)
	}
	// Allocated now: a sealed file whose pages are missing would still kill
	// the process that stores into it when memory runs out.
	err := unix.Fallocate(fd, 0, 0, int64(h.Size))
	for errors.Is(err, unix.EINTR) { // some kernels stop at any signal
		err = unix.Fallocate(fd, 0, 0, int64(h.Size))
	}
	if err != nil {
		return nil, fmt.Errorf("fallocate: %w", err)
	}
	if err := seal(fd); err != nil {
		return nil, err
	}
	mem, err := mapFile(fd, h.Size)
	if err != nil {
		return nil, err
	}
	*headerAt(mem) = h
	return &Segment{header: h, mem: mem}, nil
}

func seal(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("add seals: %w", err)
	}
	return nil
}

// Attach maps the segment in file, which it owns from then on: it is closed
// with the segment, or before an error returns. app is what the header has to
// say. The error wraps ErrVersion when versions differ, else ErrSegment when
// the file is at fault.
func Attach(file *os.File, app uint32) (*Segment, error) {
	s, err := attach(file, app)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("attach segment: %w", err)
	}
	return s, nil
}

func attach(file *os.File, app uint32) (*Segment, error) {
	var s *Segment
	err := withFD(file, func(fd int) (err error) {
		s, err = check(fd, app)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.file = file
	return s, nil
}

// check maps fd after it looked at everything that the peer could have made
// up.
func check(fd int, app uint32) (*Segment, error) {
	has, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: read seals: %w", ErrSegment, err)
	}
	if has&seals != seals {
		return nil, fmt.Errorf("%w: seals %#x lack some of %#x", ErrSegment, has, seals)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, fmt.Errorf("statfs: %w", err)
	}
	if fs.Type != unix.TMPFS_MAGIC { // huge pages run out, and kill who touches them
		return nil, fmt.Errorf("%w: not in ordinary memory, but a file system of type %#x", ErrSegment, fs.Type)
	}
	if st.Size < HeaderSize || st.Size > 1<<31 {
		return nil, fmt.Errorf("%w: file of %d bytes", ErrSegment, st.Size)
	}
	mem, err := mapFile(fd, uint32(st.Size))
	if errors.Is(err, os.ErrPermission) { // sealed against writes, or opened for reading
		return nil, fmt.Errorf("%w: %w", ErrSegment, err)
	}
	if err != nil {
		return nil, err
	}
	h := *headerAt(mem) // read once; everything below looks at the copy
	if err := h.check(uint32(st.Size), app); err != nil {
		_ = unmapFile(mem)
		return nil, err
	}
	return &Segment{header: h, mem: mem}, nil
}

// check compares the header with the size of its file and the rules of the
// layout.
func (h *Header) check(size, app uint32) error {
	if h.Magic != Magic {
		return fmt.Errorf("%w: magic %#x, want %#x", ErrSegment, h.Magic, Magic)
	}
	if h.Version != Version || h.App != app {
		return fmt.Errorf("%w: segment %d.%d, this side %d.%d", ErrVersion, h.Version, h.App, Version, app)
	}
	if h.Size != size {
		return fmt.Errorf("%w: size %d in a file of %d bytes", ErrSegment, h.Size, size)
	}
	if h.RegionSize != regionSize || h.Count > MaxRegions {
		return fmt.Errorf("%w: %d regions with entries of %d bytes, want at most %d of %d",
			ErrSegment, h.Count, h.RegionSize, MaxRegions, regionSize)
	}
	end := uint64(HeaderSize)
	for i, r := range h.Regions[:h.Count] {
		if r.Offset%RegionAlignment != 0 || uint64(r.Offset) < end || r.Size == 0 ||
			uint64(r.Offset)+uint64(r.Size) > uint64(size) {
			return fmt.Errorf("%w: region %d at %d of %d bytes, behind %d in %d bytes",
				ErrSegment, i, r.Offset, r.Size, end, size)
		}
		end = uint64(r.Offset) + uint64(r.Size)
	}
	return nil
}

// Region gives the memory of region i. It panics when there is none.
func (s *Segment) Region(i int) []byte {
	if i < 0 || i >= int(s.header.Count) {
		panic(fmt.Sprintf("shm: region %d of %d", i, s.header.Count))
	}
	r := s.header.Regions[i]
	return s.mem[r.Offset : r.Offset+r.Size : r.Offset+r.Size]
}

// Regions is the number of regions.
func (s *Segment) Regions() int { return int(s.header.Count) }

// Size is the size of the segment in bytes.
func (s *Segment) Size() int { return int(s.header.Size) }

// Session is the number that the creating side gave the segment.
func (s *Segment) Session() uint32 { return s.header.Session }

// Close unmaps the segment and closes its file, where it has one. The caller makes sure that no
// goroutine uses a region any more, now or later.
func (s *Segment) Close() error {
	if s.mem == nil {
		return nil
	}
	if s.file == nil {
		s.mem = nil
		return nil
	}
	err := unmapFile(s.mem)
	s.mem = nil
	return errors.Join(err, s.file.Close())
}

// withFD calls f with the descriptor of file, which stays open meanwhile and
// keeps its mode (os.File.Fd would make it blocking).
func withFD(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if raw.Control(func(fd uintptr) { inner = f(int(fd)) }) != nil {
		return ErrClosed // the one reason why Control does not call
	}
	return inner
}
