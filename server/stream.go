package server

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/kongring/kongring/ring"
)

// The socket carrier sends the frames of a ring as a stream, each as its commit
// word has it, without filling:
//
//	+0  u32  bit 29: more; bits 28..0: length of the payload; the rest is 0
//	+4       payload
//
// The number is little-endian.

// appendFrame puts a frame at the end of a stream.
func appendFrame(stream []byte, frame ring.Frame) []byte {
	word := uint32(len(frame.Payload))
	if frame.More {
		word |= ring.More
	}
	return append(binary.LittleEndian.AppendUint32(stream, word), frame.Payload...)
}

// readFrame takes the next frame off a stream. The payload is read into buf,
// which is replaced by a longer one where it has to be, never longer than limit.
// The error wraps errProtocol where the peer is at fault; it is io.EOF where the
// stream ends between two frames, and io.ErrUnexpectedEOF where it ends in one.
func readFrame(stream *bufio.Reader, buf []byte, limit int) (ring.Frame, error) {
	head, err := stream.Peek(ring.WordSize)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return ring.Frame{}, err
	}
	word := binary.LittleEndian.Uint32(head)
	_, _ = stream.Discard(ring.WordSize) // was peeked
	size := word & ring.LengthMask
	if word&^(ring.More|ring.LengthMask) != 0 || uint64(size) > uint64(limit) {
		return ring.Frame{}, fmt.Errorf("%w: frame word %#x on the socket: the limit is %d bytes", errProtocol, word, limit)
	}
	if int(size) > cap(buf) {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if _, err := io.ReadFull(stream, buf); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return ring.Frame{}, err
	}
	return ring.Frame{Payload: buf, More: word&ring.More != 0}, nil
}
