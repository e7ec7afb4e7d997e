package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
)

const streamLimit = 1 << 10

// readStream reads frames until an error.
func readStream(stream io.Reader) (frames []ring.Frame, err error) {
	r := bufio.NewReader(stream)
	for {
		frame, err := readFrame(r, nil, streamLimit)
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
	}
}

func TestStream(t *testing.T) {
	sent := []ring.Frame{
		{Payload: []byte("one")}, {Payload: nil, More: true},
		{Payload: bytes.Repeat([]byte("x"), streamLimit), More: true}, {Payload: []byte("last")},
	}
	var stream []byte
	for _, frame := range sent {
		stream = appendFrame(stream, frame)
	}
	require.Equal(t, []byte("\x03\x00\x00\x00one\x00\x00\x00\x20"), stream[:11])
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"whole":       func(r io.Reader) io.Reader { return r },
		"short reads": iotest.OneByteReader,
		"end at once": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readStream(reader(bytes.NewReader(stream)))
			require.Equal(t, io.EOF, err)
			require.True(t, reflect.DeepEqual(sent, got), "%.300v", got)
		})
	}
}

func TestStreamEndsInAFrame(t *testing.T) {
	whole := appendFrame(nil, ring.Frame{Payload: []byte("payload")})
	for n := 1; n < len(whole); n++ {
		_, err := readStream(bytes.NewReader(whole[:n]))
		require.Equal(t, io.ErrUnexpectedEOF, err, "after %d bytes", n)
	}
}

func TestStreamRefuses(t *testing.T) {
	for _, tc := range []struct {
		word uint32
		says string
	}{
		{streamLimit + 1, "frame word 0x401 on the socket: the limit is 1024 bytes"},
		{ring.LengthMask, "frame word 0x1fffffff"},
		{ring.Committed | 3, "frame word 0x80000003"},
		{ring.Pad | 3, "frame word 0x40000003"},
	} {
		stream := bufio.NewReader(bytes.NewReader(binary.LittleEndian.AppendUint32(nil, tc.word)))
		_, err := readFrame(stream, nil, streamLimit)
		require.ErrorIs(t, err, errProtocol)
		require.ErrorContains(t, err, tc.says)
	}
}

// FuzzStream reads a stream that could be anything. However it comes in, the
// same frames are in it; they are the bytes that were sent; none is too long.
func FuzzStream(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendFrame(appendFrame(nil, ring.Frame{Payload: []byte("a"), More: true}), ring.Frame{Payload: []byte("bc")}))
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 4, 0, 0})
	f.Add([]byte{3, 0, 0, 0x80, 1, 2, 3})
	f.Fuzz(func(t *testing.T, stream []byte) {
		frames, err := readStream(bytes.NewReader(stream))
		var again []byte
		for _, frame := range frames {
			require.LessOrEqual(t, cap(frame.Payload), streamLimit)
			again = appendFrame(again, frame)
		}
		require.Equal(t, stream[:len(again)], append([]byte{}, again...))
		switch rest := stream[len(again):]; {
		case errors.Is(err, errProtocol):
			word := binary.LittleEndian.Uint32(rest)
			require.True(t, word&ring.LengthMask > streamLimit || word&(ring.Committed|ring.Pad) != 0)
		case len(rest) == 0:
			require.Equal(t, io.EOF, err)
		default:
			require.Equal(t, io.ErrUnexpectedEOF, err)
		}
		slowly, slowErr := readStream(iotest.OneByteReader(bytes.NewReader(stream)))
		require.Equal(t, frames, slowly)
		require.Equal(t, err == io.EOF, slowErr == io.EOF)
		require.Equal(t, errors.Is(err, errProtocol), errors.Is(slowErr, errProtocol))
	})
}
