package shm_test

import (
	"bytes"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

// What the other side, written in another language, takes for granted.
func TestLayout(t *testing.T) {
	type field struct {
		name         string
		offset, size uintptr
	}
	for _, tc := range []struct {
		of     reflect.Type
		size   uintptr
		fields []field
	}{
		{reflect.TypeFor[shm.Header](), 96, []field{
			{"Magic", 0, 4},
			{"Version", 4, 4},
			{"App", 8, 4},
			{"Session", 12, 4},
			{"Size", 16, 4},
			{"RegionSize", 20, 4},
			{"Count", 24, 4},
			{"CreatorPID", 28, 4},
			{"Regions", 32, 64},
		}},
		{reflect.TypeFor[shm.Region](), 8, []field{
			{"Offset", 0, 4},
			{"Size", 4, 4},
		}},
		{reflect.TypeFor[shm.Hello](), 48, []field{
			{"Magic", 0, 4},
			{"Version", 4, 4},
			{"App", 8, 4},
			{"Kind", 12, 4},
			{"Worker", 16, 4},
			{"PID", 20, 4},
			{"CPU", 24, 4},
			{"Session", 28, 4},
			{"Token", 32, 16},
		}},
		{reflect.TypeFor[shm.Welcome](), 256, []field{
			{"Magic", 0, 4},
			{"Version", 4, 4},
			{"App", 8, 4},
			{"Status", 12, 4},
			{"Session", 16, 4},
			{"SegmentSize", 20, 4},
			{"Token", 24, 16},
			{"Limit", 40, 4},
			{"ReasonSize", 44, 4},
			{"Reason", 48, 208},
		}},
	} {
		t.Run(tc.of.Name(), func(t *testing.T) {
			var fields []field
			for i := range tc.of.NumField() {
				if f := tc.of.Field(i); f.Name != "_" {
					fields = append(fields, field{f.Name, f.Offset, f.Type.Size()})
				}
			}
			require.Equal(t, tc.fields, fields)
			require.Equal(t, tc.size, tc.of.Size())
		})
	}
	magic := uint32(shm.Magic)
	require.Equal(t, "KRG1", string(unsafe.Slice((*byte)(unsafe.Pointer(&magic)), 4)))
	require.Equal(t, os.Getpagesize(), shm.RegionAlignment)
}

func TestCreateAttach(t *testing.T) {
	sizes := []int{100, 4096, 5000}
	ours := create(t, sizes...)
	theirs, err := shm.Attach(duplicate(t, shm.FileOf(ours)), app)
	require.NoError(t, err)
	defer theirs.Close()

	for _, s := range []*shm.Segment{ours, theirs} {
		require.Equal(t, 3, s.Regions())
		require.Equal(t, 4096+4096+4096+8192, s.Size())
		require.EqualValues(t, 42, s.Session())
		for i, size := range sizes {
			require.Equal(t, make([]byte, size), s.Region(i), "a new region is zero")
			require.Equal(t, size, cap(s.Region(i)), "append must not reach the next region")
			require.Zero(t, addressOf(s.Region(i))%shm.RegionAlignment)
		}
	}
	for i, size := range sizes {
		a, b := ours.Region(i), theirs.Region(i)
		require.NotEqual(t, addressOf(a), addressOf(b), "two mappings")
		copy(a, bytes.Repeat([]byte{byte(i) + 1}, size))
		require.Equal(t, a, b)
		b[0], b[size-1] = 0xaa, 0xbb
		require.Equal(t, b, a)
	}
	require.EqualValues(t, 1, ours.Region(0)[1], "regions do not overlap")
	require.EqualValues(t, 2, ours.Region(1)[1], "regions do not overlap")
}

func addressOf(mem []byte) uintptr { return uintptr(unsafe.Pointer(&mem[0])) }

// Every page is there before the first store, which could not report that
// memory ran out.
func TestCreateAllocates(t *testing.T) {
	s := create(t, 1<<20)
	control(t, shm.FileOf(s), func(fd int) {
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(fd, &st))
		require.EqualValues(t, s.Size(), st.Size)
		require.GreaterOrEqual(t, st.Blocks*512, st.Size)
	})
	descriptor, _ := flags(t, shm.FileOf(s))
	require.NotZero(t, descriptor&unix.FD_CLOEXEC)
}

func TestSealsHold(t *testing.T) {
	ours := create(t, 4096)
	theirs, err := shm.Attach(duplicate(t, shm.FileOf(ours)), app)
	require.NoError(t, err)
	defer theirs.Close()
	for name, s := range map[string]*shm.Segment{"creator": ours, "attached": theirs} {
		t.Run(name, func(t *testing.T) {
			size := int64(s.Size())
			control(t, shm.FileOf(s), func(fd int) {
				require.ErrorIs(t, unix.Ftruncate(fd, size-4096), unix.EPERM, "shrink")
				require.ErrorIs(t, unix.Ftruncate(fd, 0), unix.EPERM, "shrink")
				require.ErrorIs(t, unix.Ftruncate(fd, size+4096), unix.EPERM, "grow")
				_, err := unix.Pwrite(fd, []byte("x"), size)
				require.ErrorIs(t, err, unix.EPERM, "grow by writing behind the end")
				_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
				require.ErrorIs(t, err, unix.EPERM, "one more seal")
			})
		})
	}
}

func TestCreateWithoutRegions(t *testing.T) {
	s := create(t)
	require.Zero(t, s.Regions())
	require.Equal(t, shm.HeaderSize, s.Size())
	theirs, err := shm.Attach(duplicate(t, shm.FileOf(s)), app)
	require.NoError(t, err)
	require.NoError(t, theirs.Close())
}

func TestCreateWithAllRegions(t *testing.T) {
	s := create(t, 1, 2, 3, 4, 5, 6, 7, 8)
	require.Equal(t, shm.MaxRegions, s.Regions())
	require.Len(t, s.Region(7), 8)
}

func TestCreateMisuse(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sizes []int
		says  string
	}{
		{"nine regions", make([]int, 9), "shm: 9 regions: the limit is 8"},
		{"empty region", []int{1, 0}, "shm: region 1 of 0 bytes"},
		{"negative region", []int{-1}, "shm: region 0 of -1 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.PanicsWithValue(t, tc.says, func() { _, _ = shm.Create("misuse", app, 1, tc.sizes...) })
		})
	}
}

func TestCreateTooLarge(t *testing.T) {
	for name, sizes := range map[string][]int{
		"one region":                {1 << 31},
		"sum":                       {1 << 30, 1 << 30},
		"rounding would wrap round": {math.MaxInt},
		"sum would wrap round":      {4096, math.MaxInt - 4096},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := shm.Create("large", app, 1, sizes...)
			require.ErrorContains(t, err, "the limit is 2147483648")
			require.Nil(t, s)
		})
	}
}

func TestCreateReportsTheSystem(t *testing.T) {
	leaktest.Check(t)
	s, err := shm.Create(strings.Repeat("n", 250), app, 1, 4096)
	require.ErrorIs(t, err, unix.EINVAL)
	require.ErrorContains(t, err, "memfd_create")
	require.Nil(t, s)
}

func TestCreateWithoutMemory(t *testing.T) {
	leaktest.Check(t)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: old.Max}))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &old)) }()
	s, err := shm.Create("poor", app, 1, 1<<20)
	require.ErrorIs(t, err, unix.EFBIG)
	require.ErrorContains(t, err, "1052672 bytes: fallocate")
	require.Nil(t, s)
}

func TestNoSuchRegion(t *testing.T) {
	s := create(t, 1, 1)
	require.PanicsWithValue(t, "shm: region 2 of 2", func() { s.Region(2) })
	require.PanicsWithValue(t, "shm: region -1 of 2", func() { s.Region(-1) })
}

func TestSegmentClose(t *testing.T) {
	leaktest.Check(t)
	s, err := shm.Create("kongring-close", app, 1, 4096)
	require.NoError(t, err)
	require.Contains(t, mappings(t), "/memfd:kongring-close")
	require.NoError(t, s.Close())
	require.NotContains(t, mappings(t), "/memfd:kongring-close")
	require.NoError(t, s.Close())
}

// The memory lives as long as one side holds it.
func TestSegmentOutlivesItsCreator(t *testing.T) {
	ours := create(t, 4096)
	theirs, err := shm.Attach(duplicate(t, shm.FileOf(ours)), app)
	require.NoError(t, err)
	defer theirs.Close()
	copy(ours.Region(0), "still here")
	require.NoError(t, ours.Close())
	require.Equal(t, "still here", string(theirs.Region(0)[:10]))
}

func mappings(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return string(text)
}
