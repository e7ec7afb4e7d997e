package server

import "sync"

// longBuffers are the buffers of long messages between two uses: fresh memory
// of a megabyte costs more than the bytes that are then written to it, and each
// brings the next collection nearer. A buffer that nobody takes goes within two
// collections.
var longBuffers sync.Pool // of *[]byte

// takeLong gives an empty buffer for a message that is probably long.
func takeLong() []byte {
	if b, ok := longBuffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

// giveLong keeps a buffer for the next long message if it is itself long. The
// caller has no more use for it.
func giveLong(b []byte) {
	if cap(b) > keepBytes {
		longBuffers.Put(&b)
	}
}

// shed is giveLong for a buffer that its owner fills again: it gives what is
// left to the owner, b itself if it is short.
func shed(b []byte) []byte {
	if cap(b) <= keepBytes {
		return b
	}
	giveLong(b)
	return nil
}
