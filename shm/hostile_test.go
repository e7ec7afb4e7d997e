package shm_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

const allSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// wire gives the bytes of a message or a header as they lie in memory.
func wire[T shm.Hello | shm.Welcome | shm.Header](message *T) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(message)), unsafe.Sizeof(*message)))
}

// forge makes a memfd of the given size that starts with header.
func forge(t testing.TB, header []byte, size int64, seals int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("kongring-forged", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "forged")
	t.Cleanup(func() { _ = file.Close() })
	_, err = file.Write(header)
	require.NoError(t, err)
	require.NoError(t, file.Truncate(size))
	if seals != 0 {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		require.NoError(t, err)
	}
	return file
}

// goodHeader describes a segment of three regions in 6 pages.
func goodHeader() shm.Header {
	h := shm.Header{
		Magic: shm.Magic, Version: shm.Version, App: app, Session: 42,
		Size: 6 * 4096, RegionSize: 8, Count: 3,
	}
	copy(h.Regions[:], []shm.Region{{Offset: 4096, Size: 100}, {Offset: 8192, Size: 8192}, {Offset: 16384, Size: 8192}})
	return h
}

func TestAttachTakesForgedSegment(t *testing.T) {
	h := goodHeader()
	s, err := shm.Attach(forge(t, wire(&h), 6*4096, allSeals), app)
	require.NoError(t, err)
	require.Len(t, s.Region(2), 8192)
	require.NoError(t, s.Close())
}

func TestAttachRefusesHeader(t *testing.T) {
	for _, tc := range []struct {
		name string
		lie  func(h *shm.Header)
		want error
		says string
	}{
		{"magic", func(h *shm.Header) { h.Magic = 0xbad }, shm.ErrSegment, "magic 0xbad, want 0x3147524b"},
		{"version", func(h *shm.Header) { h.Version = 99 }, shm.ErrVersion, "segment 99.7, this side 3.7"},
		{"app", func(h *shm.Header) { h.App = 98 }, shm.ErrVersion, "segment 3.98, this side 3.7"},
		{"smaller than the file", func(h *shm.Header) { h.Size = 5 * 4096 }, shm.ErrSegment, "size 20480 in a file of 24576 bytes"},
		{"larger than the file", func(h *shm.Header) { h.Size = 7 * 4096 }, shm.ErrSegment, "size 28672 in a file of 24576 bytes"},
		{"entry size", func(h *shm.Header) { h.RegionSize = 16 }, shm.ErrSegment, "3 regions with entries of 16 bytes"},
		{"nine regions", func(h *shm.Header) { h.Count = 9 }, shm.ErrSegment, "9 regions with entries of 8 bytes, want at most 8"},
		{"most regions", func(h *shm.Header) { h.Count = 0xffffffff }, shm.ErrSegment, "4294967295 regions"},
		{"more than are there", func(h *shm.Header) { h.Count = 4 }, shm.ErrSegment, "region 3 at 0 of 0 bytes"},
		{"in the header", func(h *shm.Header) { h.Regions[0].Offset = 0 }, shm.ErrSegment, "region 0 at 0 of 100 bytes, behind 4096"},
		{"overlap", func(h *shm.Header) { h.Regions[0].Size = 4097 }, shm.ErrSegment, "region 1 at 8192 of 8192 bytes, behind 8193"},
		{"same place", func(h *shm.Header) { h.Regions[1] = h.Regions[0] }, shm.ErrSegment, "region 1 at 4096 of 100 bytes, behind 4196"},
		{"backwards", func(h *shm.Header) { slices.Reverse(h.Regions[:3]) }, shm.ErrSegment, "region 1 at 8192 of 8192 bytes, behind 24576"},
		{"unaligned", func(h *shm.Header) { h.Regions[0].Offset = 4104 }, shm.ErrSegment, "region 0 at 4104"},
		{"empty region", func(h *shm.Header) { h.Regions[1].Size = 0 }, shm.ErrSegment, "region 1 at 8192 of 0 bytes"},
		{"one byte too long", func(h *shm.Header) { h.Regions[2].Size = 8193 }, shm.ErrSegment, "region 2 at 16384 of 8193 bytes, behind 16384 in 24576 bytes"},
		{"beyond the file", func(h *shm.Header) { h.Regions[2].Offset = 24576 }, shm.ErrSegment, "region 2 at 24576"},
		{"end wraps round", func(h *shm.Header) { h.Regions[2].Size = 0xffffffff }, shm.ErrSegment, "region 2 at 16384 of 4294967295 bytes"},
		{"last page of all", func(h *shm.Header) { h.Regions[2] = shm.Region{Offset: 0xfffff000, Size: 4096} }, shm.ErrSegment, "region 2 at 4294963200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaktest.Check(t)
			h := goodHeader()
			tc.lie(&h)
			requireRefused(t, forge(t, wire(&h), 6*4096, allSeals), tc.want, tc.says)
		})
	}
}

// requireRefused also sees that Attach closed the file.
func requireRefused(t *testing.T, file *os.File, want error, says string) {
	t.Helper()
	s, err := shm.Attach(file, app)
	require.ErrorIs(t, err, want)
	require.ErrorContains(t, err, says)
	require.Nil(t, s)
	require.ErrorIs(t, file.Close(), os.ErrClosed)
}

func TestAttachRefusesFile(t *testing.T) {
	h := goodHeader()
	header := wire(&h)
	for _, tc := range []struct {
		name string
		file func(t *testing.T) *os.File
		says string
	}{
		{"no seals", func(t *testing.T) *os.File { return forge(t, header, 6*4096, 0) },
			"seals 0x0 lack some of 0x7"},
		{"may shrink", func(t *testing.T) *os.File { return forge(t, header, 6*4096, allSeals&^unix.F_SEAL_SHRINK) },
			"seals 0x5 lack"},
		{"may grow", func(t *testing.T) *os.File { return forge(t, header, 6*4096, allSeals&^unix.F_SEAL_GROW) },
			"seals 0x3 lack"},
		{"may be sealed further", func(t *testing.T) *os.File { return forge(t, header, 6*4096, allSeals&^unix.F_SEAL_SEAL) },
			"seals 0x6 lack"},
		{"sealed against writes", func(t *testing.T) *os.File { return forge(t, header, 6*4096, allSeals|unix.F_SEAL_WRITE) },
			"mmap"},
		{"opened for reading", func(t *testing.T) *os.File {
			var file *os.File
			control(t, forge(t, header, 6*4096, allSeals), func(fd int) {
				var err error
				file, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
				require.NoError(t, err)
			})
			return file
		}, "mmap"},
		{"nothing in it", func(t *testing.T) *os.File { return forge(t, nil, 0, allSeals) },
			"segment: file of 0 bytes"},
		{"less than a header", func(t *testing.T) *os.File { return forge(t, header, 4095, allSeals) },
			"segment: file of 4095 bytes"},
		{"zeroes", func(t *testing.T) *os.File { return forge(t, nil, 4096, allSeals) },
			"magic 0x0"},
		{"too large", func(t *testing.T) *os.File { return forge(t, header, 1<<31+4096, allSeals) },
			"file of 2147487744 bytes"},
		{"size wraps round", func(t *testing.T) *os.File { return forge(t, header, 1<<32+6*4096, allSeals) },
			"file of 4294991872 bytes"},
		{"huge pages", func(t *testing.T) *os.File {
			fd, err := unix.MemfdCreate("kongring-forged", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_HUGETLB)
			if err != nil {
				t.Skipf("skipped: no huge pages here: %v", err)
			}
			require.NoError(t, unix.Ftruncate(fd, 1<<30))
			_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals)
			require.NoError(t, err)
			return os.NewFile(uintptr(fd), "huge")
		}, "not in ordinary memory"},
		{"plain file", func(t *testing.T) *os.File {
			file, err := os.Create(socketPath(t))
			require.NoError(t, err)
			require.NoError(t, file.Truncate(6*4096))
			_, err = file.WriteAt(header, 0)
			require.NoError(t, err)
			return file
		}, "seals"},
		{"directory", func(t *testing.T) *os.File {
			file, err := os.Open(t.TempDir())
			require.NoError(t, err)
			return file
		}, "seals"},
		{"pipe", func(t *testing.T) *os.File {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, w.Close())
			return r
		}, "read seals: invalid argument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaktest.Check(t)
			requireRefused(t, tc.file(t), shm.ErrSegment, tc.says)
		})
	}
}

func TestAttachClosedFile(t *testing.T) {
	file := forge(t, nil, 4096, allSeals)
	require.NoError(t, file.Close())
	_, err := shm.Attach(file, app)
	require.ErrorContains(t, err, "attach segment")
}

// A peer that rewrites the header later moves nothing.
func TestAttachKeepsItsOwnDirectory(t *testing.T) {
	h := goodHeader()
	file := forge(t, wire(&h), 6*4096, allSeals)
	peer := duplicate(t, file)
	defer peer.Close()
	s, err := shm.Attach(file, app)
	require.NoError(t, err)
	defer s.Close()
	region, size := s.Region(1), s.Size()
	_, err = peer.WriteAt(bytes.Repeat([]byte{0xff}, shm.HeaderSize), 0)
	require.NoError(t, err)
	require.Equal(t, addressOf(region), addressOf(s.Region(1)))
	require.Len(t, s.Region(1), len(region))
	require.Equal(t, size, s.Size())
	require.Equal(t, 3, s.Regions())
	require.EqualValues(t, 42, s.Session())
	require.Panics(t, func() { s.Region(3) })
}

// A hello may come with descriptors that nobody asked for.
func TestReadHelloDropsDescriptors(t *testing.T) {
	leaktest.Check(t)
	c, peer := rawPair(t)
	h := shm.Hello{Magic: shm.Magic, Version: shm.Version, App: app, Kind: shm.HelloAttach}
	n, _, err := peer.WriteMsgUnix(wire(&h), unix.UnixRights(0, 1, 2), nil)
	require.NoError(t, err)
	require.Equal(t, shm.HelloSize, n)
	_, err = c.ReadHello(app, patience)
	require.NoError(t, err)
}

// answer is a server that reads one hello, does what f does and hangs up. It
// gives its path.
func answer(t testing.TB, f func(conn *net.UnixConn, hello []byte)) string {
	t.Helper()
	path := socketPath(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	done := async(func() error {
		conn, err := l.AcceptUnix()
		if err != nil {
			return err
		}
		defer conn.Close()
		hello := make([]byte, shm.HelloSize)
		if _, err := io.ReadFull(conn, hello); err != nil {
			return err
		}
		f(conn, hello)
		return nil
	})
	t.Cleanup(func() {
		_ = l.Close()
		require.NoError(t, within(t, done))
	})
	return path
}

func goodWelcome() []byte {
	return wire(&shm.Welcome{Magic: shm.Magic, Version: shm.Version, App: app})
}

func TestDialRefusesWelcome(t *testing.T) {
	long := shm.Welcome{Magic: shm.Magic, Version: shm.Version, App: app, Status: shm.WelcomeBad, ReasonSize: 209}
	for _, tc := range []struct {
		name   string
		answer []byte
		want   error
		says   string
	}{
		{"nothing", nil, io.EOF, "read welcome"},
		{"truncated", goodWelcome()[:255], io.EOF, "read welcome"},
		{"zeroes", make([]byte, 256), shm.ErrRefused, "magic 0x0"},
		{"rubbish", bytes.Repeat([]byte{0xa5}, 5000), shm.ErrRefused, "magic 0xa5a5a5a5"},
		{"reason longer than its room", wire(&long), shm.ErrRefused, "reason of 209 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaktest.Check(t)
			path := answer(t, func(conn *net.UnixConn, _ []byte) { _, _ = conn.Write(tc.answer) })
			a, err := shm.Dial(path, shm.Hello{App: app, Kind: shm.HelloAttach}, patience)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.says)
			require.Nil(t, a)
		})
	}
}

// Whatever descriptors come with a welcome, none stays open.
func TestDialDescriptors(t *testing.T) {
	h := goodHeader()
	wrongApp := h
	wrongApp.App = 98
	for _, tc := range []struct {
		name   string
		kind   uint32
		answer []byte
		header shm.Header // of the first descriptor
		count  int        // of descriptors; all but the first are doorbells
		split  int        // bytes that go ahead of the descriptors
		want   error
		says   string
	}{
		{"none", shm.HelloAttach, goodWelcome(), h, 0, 0, shm.ErrSegment, "0 descriptors, want 2"},
		{"one", shm.HelloAttach, goodWelcome(), h, 1, 0, shm.ErrSegment, "1 descriptors, want 2"},
		{"two", shm.HelloAttach, goodWelcome(), h, 2, 0, nil, ""},
		{"three", shm.HelloAttach, goodWelcome(), h, 3, 0, shm.ErrSegment, "3 descriptors, want 2"},
		{"four", shm.HelloAttach, goodWelcome(), h, 4, 0, shm.ErrSegment, "4 descriptors, want 2"},
		{"as many as can be sent", shm.HelloAttach, goodWelcome(), h, 253, 0, nil, "descriptors were cut off"},
		{"late", shm.HelloAttach, goodWelcome(), h, 2, 100, shm.ErrSegment, "0 descriptors, want 2"},
		{"with half a welcome", shm.HelloAttach, goodWelcome()[:128], h, 2, 0, io.EOF, "read welcome"},
		{"with rubbish", shm.HelloAttach, make([]byte, 256), h, 2, 0, shm.ErrRefused, "magic 0x0"},
		{"of another version", shm.HelloAttach, goodWelcome(), wrongApp, 2, 0, shm.ErrVersion, "segment 3.98"},
		{"of no segment", shm.HelloAttach, goodWelcome(), shm.Header{}, 2, 0, shm.ErrSegment, "magic 0x0"},
		{"for a doorbell", shm.HelloDoorbell, goodWelcome(), h, 2, 0, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaktest.Check(t)
			segment := forge(t, wire(&tc.header), 6*4096, allSeals)
			bell := shm.BellPeer(newBell(t))
			path := answer(t, func(conn *net.UnixConn, _ []byte) {
				var rights []byte
				control(t, segment, func(segment int) {
					control(t, bell, func(bell int) {
						fds := slices.Concat([]int{segment}, slices.Repeat([]int{bell}, 252))
						if tc.count > 0 {
							rights = unix.UnixRights(fds[:tc.count]...)
						}
						if tc.split > 0 {
							_, _ = conn.Write(tc.answer[:tc.split])
							waitRead(conn) // the kernel hands over with the bytes of one read
						}
						_, _, _ = conn.WriteMsgUnix(tc.answer[tc.split:], rights, nil)
					})
				})
			})
			a, err := shm.Dial(path, shm.Hello{App: app, Kind: tc.kind}, patience)
			if tc.want == nil && tc.says == "" {
				require.NoError(t, err)
				require.Equal(t, tc.kind == shm.HelloAttach, a.Segment != nil)
				require.Equal(t, tc.kind == shm.HelloAttach, a.Bell != nil)
				require.NoError(t, a.Close())
				return
			}
			require.ErrorContains(t, err, tc.says)
			if tc.want != nil {
				require.ErrorIs(t, err, tc.want)
			}
			require.Nil(t, a)
		})
	}
}

// waitRead waits until the peer has read what was sent, or is gone.
func waitRead(conn *net.UnixConn) {
	raw, err := conn.SyscallConn()
	for queued := 1; err == nil && queued > 0; time.Sleep(time.Millisecond) {
		var failed error
		err = raw.Control(func(fd uintptr) { queued, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		err = errors.Join(err, failed)
	}
}

// A stream may deliver the welcome in pieces.
func TestDialTakesWelcomeInPieces(t *testing.T) {
	h := goodHeader()
	segment := forge(t, wire(&h), 6*4096, allSeals)
	bell := newBell(t)
	path := answer(t, func(conn *net.UnixConn, _ []byte) {
		control(t, segment, func(segment int) {
			control(t, shm.BellPeer(bell), func(bell int) {
				_, _, _ = conn.WriteMsgUnix(goodWelcome()[:1], unix.UnixRights(segment, bell), nil)
			})
		})
		for _, b := range goodWelcome()[1:] {
			_, _ = conn.Write([]byte{b})
		}
	})
	a, err := shm.Dial(path, shm.Hello{App: app, Kind: shm.HelloAttach}, patience)
	require.NoError(t, err)
	require.Equal(t, goodWelcome(), wire(&a.Welcome))
	require.NoError(t, a.Bell.Ring())
	require.NoError(t, bell.Wait())
	require.NoError(t, a.Close())
}

// Whatever the header says, Attach refuses it or its regions lie in the file,
// behind the header and apart from each other.
func FuzzHeader(f *testing.F) {
	h := goodHeader()
	f.Add(wire(&h), uint16(6))
	h.Count = 8
	f.Add(wire(&h), uint16(6))
	h.Count, h.Size = 0, 4096
	f.Add(wire(&h), uint16(1))
	h = goodHeader()
	h.Regions[2].Size = 0xffffffff
	f.Add(wire(&h), uint16(6))
	f.Add([]byte(nil), uint16(0))
	f.Add(bytes.Repeat([]byte{0xff}, 96), uint16(2))
	f.Fuzz(func(t *testing.T, header []byte, pages uint16) {
		size := int64(pages%64) * 4096
		file := forge(t, header[:min(len(header), int(size))], size, allSeals)
		s, err := shm.Attach(file, app)
		if err != nil {
			require.True(t, errors.Is(err, shm.ErrSegment) || errors.Is(err, shm.ErrVersion), err.Error())
			return
		}
		defer s.Close()
		require.EqualValues(t, size, s.Size())
		require.LessOrEqual(t, s.Regions(), shm.MaxRegions)
		end := uintptr(shm.HeaderSize)
		var base uintptr
		for i := range s.Regions() {
			region := s.Region(i)
			require.NotEmpty(t, region)
			offset := uintptr(headerOf(header).Regions[i].Offset)
			if i == 0 {
				base = addressOf(region) - offset
			}
			require.Equal(t, base+offset, addressOf(region))
			require.GreaterOrEqual(t, offset, end)
			require.Zero(t, offset%shm.RegionAlignment)
			end = offset + uintptr(len(region))
			require.LessOrEqual(t, end, uintptr(size))
			region[0], region[len(region)-1] = 1, 1 // mapped, or this dies
		}
	})
}

// headerOf reads a header as far as there are bytes of it.
func headerOf(b []byte) shm.Header {
	var h shm.Header
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)), b)
	return h
}

// Whatever comes first on a connection, ReadHello refuses it or it is a whole
// hello of this version.
func FuzzHello(f *testing.F) {
	for kind := range uint32(6) {
		f.Add(wire(&shm.Hello{Magic: shm.Magic, Version: shm.Version, App: app, Kind: kind}))
	}
	f.Add(wire(&shm.Hello{Magic: shm.Magic, Version: shm.Version + 1, App: app}))
	f.Add(wire(&shm.Hello{})[:47])
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xff}, 4096))
	f.Fuzz(func(t *testing.T, message []byte) {
		message = message[:min(len(message), 4096)] // what the peer can send before anybody reads
		c, peer := connPair(t)
		_, err := peer.Write(message)
		require.NoError(t, err)
		require.NoError(t, peer.Close())
		h, err := c.ReadHello(app, patience)
		switch {
		case len(message) == 0:
			require.ErrorIs(t, err, io.EOF)
		case errors.Is(err, shm.ErrVersion): // seen by the first three words, whatever follows
			ours := wire(&shm.Hello{Magic: shm.Magic, Version: shm.Version, App: app})
			require.GreaterOrEqual(t, len(message), 12)
			require.Equal(t, ours[:4], message[:4])
			require.NotEqual(t, ours[4:12], message[4:12])
		case len(message) < shm.HelloSize:
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		case err != nil:
			require.ErrorIs(t, err, shm.ErrHello)
		default:
			require.Equal(t, message[:shm.HelloSize], wire(&h))
			require.EqualValues(t, shm.Magic, h.Magic)
			require.EqualValues(t, shm.Version, h.Version)
			require.EqualValues(t, app, h.App)
			require.Contains(t, []uint32{shm.HelloAttach, shm.HelloDoorbell, shm.HelloInspect, shm.HelloAttachSocket, shm.HelloTrace, shm.HelloWatch}, h.Kind)
		}
	})
}

// connPair gives a connection that needed no socket file.
func connPair(t testing.TB) (*shm.Conn, net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socketpair")
		ends[i], err = net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	c, err := shm.NewConn(ends[0].(*net.UnixConn))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c, ends[1]
}
