package shm_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

// An attachment by the socket has a segment like the server's, which nobody
// else sees, and a connection that carries bytes both ways.
func TestAttachSocket(t *testing.T) {
	leaktest.Check(t)
	l := listen(t)
	segment, err := shm.CreatePrivate(app, 42, 100, 8192)
	require.NoError(t, err)
	served := async(func() error {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		defer c.Close()
		h, err := c.ReadHello(app, patience)
		if err != nil {
			return err
		}
		require.EqualValues(t, shm.HelloAttachSocket, h.Kind)
		copy(segment.Region(0), "not shared")
		if err := c.Welcome(app, shm.Welcome{Session: 42, Limit: 9}, segment, nil); err != nil {
			return err
		}
		question := make([]byte, 8)
		if _, err := io.ReadFull(c, question); err != nil {
			return err
		}
		return c.Write(append(question, "answer"...), 0)
	})
	a, err := shm.Dial(l.Path(), shm.Hello{Kind: shm.HelloAttachSocket, App: app}, patience)
	require.NoError(t, err)
	defer a.Close()
	require.Nil(t, a.Bell)
	require.EqualValues(t, 9, a.Welcome.Limit)
	require.Equal(t, segment.Regions(), a.Segment.Regions())
	require.Equal(t, segment.Size(), a.Segment.Size())
	require.EqualValues(t, 42, a.Segment.Session())
	for i := range segment.Regions() {
		require.Equal(t, make([]byte, len(segment.Region(i))), a.Segment.Region(i))
	}
	_, err = a.Write([]byte("question"))
	require.NoError(t, err)
	all, err := io.ReadAll(a)
	require.NoError(t, err)
	require.Equal(t, "questionanswer", string(all))
	require.NoError(t, within(t, served))
	require.NoError(t, a.Close())
	_, err = a.Read(make([]byte, 1))
	require.ErrorIs(t, err, shm.ErrClosed)
	_, err = a.Write([]byte("x"))
	require.ErrorIs(t, err, shm.ErrClosed)
	for range 2 {
		require.NoError(t, segment.Close())
		require.NoError(t, a.Segment.Close())
	}
}

// A header that lies is found before any memory is taken for it.
func TestAttachSocketRefusesHeader(t *testing.T) {
	for name, tc := range map[string]struct {
		lie  func(h *shm.Header)
		want error
		says string
	}{
		"magic":   {func(h *shm.Header) { h.Magic = 1 }, shm.ErrSegment, "magic 0x1"},
		"version": {func(h *shm.Header) { h.App = 98 }, shm.ErrVersion, "segment 3.98"},
		"size":    {func(h *shm.Header) { h.Size = 1 << 31 }, shm.ErrSegment, "size 2147483648 in a file of 8192 bytes"},
		"region":  {func(h *shm.Header) { h.Regions[0].Size = 1 << 20 }, shm.ErrSegment, "region 0"},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			served := async(func() error {
				c, err := l.Accept()
				if err != nil {
					return err
				}
				defer c.Close()
				if _, err := c.ReadHello(app, patience); err != nil {
					return err
				}
				h := shm.Header{
					Magic: shm.Magic, Version: shm.Version, App: app, Size: 8192, RegionSize: 8, Count: 1,
					Regions: [shm.MaxRegions]shm.Region{{Offset: 4096, Size: 4096}},
				}
				tc.lie(&h)
				w := shm.Welcome{Magic: shm.Magic, Version: shm.Version, App: app, SegmentSize: 8192}
				return c.Write(append(wire(&w), wire(&h)...), patience)
			})
			_, err := shm.Dial(l.Path(), shm.Hello{Kind: shm.HelloAttachSocket, App: app}, patience)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.says)
			require.NoError(t, within(t, served))
		})
	}
}
