// Package liar plays a peer that keeps no rule: it owns one side of a session
// and writes what it likes into the memory that the two sides share. It is for
// tests: whoever is lied to must close the session, or go on, and nothing else.
package liar

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Peer is the hostile side of one segment. One goroutine uses it at a time, but
// for Flip, which runs beside.
type Peer struct {
	Rand *rand.Rand
	Lost bool // its own lies keep it from reading what the victim sends

	segment  *shm.Segment
	out, in  []byte // the rings to the victim and from it
	pos      uint32 // where the next frame to the victim starts
	reader   *ring.Consumer
	buf      []byte
	tally    *Tally
	maxFrame int
}

// New makes the hostile side of a segment whose region out leads to the victim
// and region in comes from it. What it does is counted in tally.
func New(seed uint64, segment *shm.Segment, out, in int, tally *Tally) *Peer {
	p := &Peer{
		Rand:    rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)),
		segment: segment, out: segment.Region(out), in: segment.Region(in),
		pos: ring.Start, tally: tally,
	}
	p.maxFrame = ring.MaxPayload(len(p.out) - ring.ControlSize)
	p.reader, _ = ring.NewConsumer(p.in)
	return p
}

// Kinds of lie, as they are counted.
const (
	Valid   = iota // a frame that keeps every rule of the ring
	Head           // a message with other fields in its head
	Body           // a message with another body
	Length         // a frame whose commit word tells another length
	Flags          // a frame whose commit word has other flags
	Word           // any word where the next frame starts
	Data           // bytes anywhere in a ring
	Control        // a word of a ring's control block
	Figures        // bytes of the counters
	Front          // bytes of the segment's header
	kinds
)

var kindNames = [kinds]string{"valid", "head", "body", "length", "flags", "word", "data", "control", "figures", "front"}

// Tally counts what peers did and what came of it. The numbers may be read
// while they grow.
type Tally struct {
	Lies     [kinds]atomic.Uint64
	Flips    atomic.Uint64
	Sessions atomic.Uint64
}

// Mutations is the number of lies, without flips.
func (t *Tally) Mutations() (n uint64) {
	for i := range t.Lies {
		n += t.Lies[i].Load()
	}
	return n
}

func (t *Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d mutations in %d sessions, %d flips:", t.Mutations(), t.Sessions.Load(), t.Flips.Load())
	for i, name := range kindNames {
		fmt.Fprintf(&b, " %s %d", name, t.Lies[i].Load())
	}
	return b.String()
}

// Causes counts texts by what they say apart from their numbers.
type Causes map[string]int

// Add counts one text.
func (c Causes) Add(text string) {
	var b strings.Builder
	digits := false
	for _, r := range text {
		digit := r >= '0' && r <= '9' || digits && (r == 'x' || r >= 'a' && r <= 'f')
		if digit && !digits {
			b.WriteByte('N')
		}
		if digits = digit; !digit {
			b.WriteRune(r)
		}
	}
	c[b.String()]++
}

func (c Causes) String() string {
	var b strings.Builder
	for _, text := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "\n%8d  %s", c[text], text)
	}
	return b.String()
}

// Room tells whether the victim has read enough for another frame of n bytes to
// have a place, in its own word: what a lie has overwritten counts.
func (p *Peer) Room(n int) bool {
	used := p.pos - word(p.out, 0).Load()
	return int64(used)+int64(2*n)+64 <= int64(len(p.out)-ring.ControlSize)
}

// Send puts a message into the ring, without a look at the room there is, and
// lies about it in the given way. A message longer than a frame is cut.
func (p *Peer) Send(kind int, message []byte, more bool) {
	p.tally.Lies[kind].Add(1)
	message = message[:min(len(message), p.maxFrame)]
	capacity := uint32(len(p.out) - ring.ControlSize)
	data := p.out[ring.ControlSize:]
	size := uint32(ring.WordSize+len(message)+ring.Alignment-1) &^ (ring.Alignment - 1)
	offset := p.pos & (capacity - 1)
	at, pad := offset, uint32(0)
	if room := capacity - offset; size > room {
		at, pad = 0, room
	}
	word(data, (at+size)&(capacity-1)).Store(0)
	copy(data[at+ring.WordSize:], message)
	commit := ring.Committed | uint32(len(message))
	if more {
		commit |= ring.More
	}
	word(data, at).Store(p.commit(kind, commit))
	if pad > 0 {
		word(data, offset).Store(p.commit(kind, ring.Committed|ring.Pad|(pad-ring.WordSize)))
	}
	p.pos += pad + size
}

// commit makes a lie of a commit word where the kind wants one.
func (p *Peer) commit(kind int, word uint32) uint32 {
	switch kind {
	case Length:
		switch p.Rand.IntN(3) {
		case 0:
			return word&^ring.LengthMask | p.Rand.Uint32()&ring.LengthMask
		case 1:
			return word&^ring.LengthMask | uint32(p.Rand.IntN(p.maxFrame+64))
		}
		return word + uint32(p.Rand.IntN(33)) - 16
	case Flags:
		return word ^ uint32(1+p.Rand.IntN(7))<<29
	}
	return word
}

// Receive gives the next message of the victim, as far as a liar can find it.
func (p *Peer) Receive() (wire.Head, []byte, bool) {
	frame, ok, err := p.reader.Read(p.buf)
	p.Lost = err != nil
	if !ok || p.Lost {
		return wire.Head{}, nil, false
	}
	p.buf = frame.Payload
	head, body, err := wire.ReadHead(frame.Payload)
	return head, body, err == nil
}

// GiveBack gives the bytes that Receive has read back to the victim.
func (p *Peer) GiveBack() {
	if p.reader.Sleep() {
		p.reader.Awake()
	}
}

// Mangle changes some bytes of a message, or its length.
func (p *Peer) Mangle(message []byte) []byte {
	out := slices.Clone(message)
	for range 1 + p.Rand.IntN(4) {
		switch p.Rand.IntN(6) {
		case 0:
			out = out[:p.Rand.IntN(len(out)+1)]
		case 1:
			for range 1 + p.Rand.IntN(40) {
				out = append(out, byte(p.Rand.Uint32()))
			}
		case 2:
			if len(out) > 0 {
				out[p.Rand.IntN(len(out))] ^= 1 << p.Rand.IntN(8)
			}
		case 3:
			if len(out) > 0 {
				out[p.Rand.IntN(len(out))] = nasty[p.Rand.IntN(len(nasty))]
			}
		case 4:
			if n := len(out); n > 4 {
				binary.LittleEndian.PutUint32(out[p.Rand.IntN(n-3):], p.Number())
			}
		case 5:
			if n := len(out); n > 1 {
				i, j := p.Rand.IntN(n), p.Rand.IntN(n)
				copy(out[i:], message[min(j, len(message)):])
			}
		}
	}
	return out
}

// nasty are bytes that start long things in MessagePack, and the ends of ranges.
var nasty = []byte{0, 1, 0x7f, 0x80, 0x8f, 0x9f, 0xbf, 0xc0, 0xc1, 0xc6, 0xc9, 0xcb, 0xcf, 0xd3, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff}

// Number gives a number that is likely to be at the end of some range.
func (p *Peer) Number() uint32 {
	switch p.Rand.IntN(4) {
	case 0:
		return uint32(1)<<p.Rand.IntN(32) + uint32(p.Rand.IntN(3)) - 1
	case 1:
		return uint32(p.Rand.IntN(64))
	case 2:
		return p.pos + uint32(p.Rand.IntN(65)*8) - 256
	}
	return p.Rand.Uint32()
}

// Poke stores a lie straight into the memory.
func (p *Peer) Poke(kind int) {
	p.tally.Lies[kind].Add(1)
	switch kind {
	case Word:
		capacity := uint32(len(p.out) - ring.ControlSize)
		word(p.out[ring.ControlSize:], p.pos&(capacity-1)).Store(p.Number())
	case Data:
		region := p.out
		if p.Rand.IntN(2) == 0 {
			region = p.in
		}
		p.scribble(region[ring.ControlSize:])
	case Control:
		region := p.out
		if p.Rand.IntN(2) == 0 {
			region = p.in
		}
		word(region, uint32(p.Rand.IntN(3)*128)).Store(p.Number())
	case Figures:
		p.scribble(p.segment.Region(wire.RegionServerCounters + p.Rand.IntN(2)))
	case Front:
		p.scribble(frontOf(p.segment))
	}
}

// Drowse stores a lie into a word that says who waits, which breaks no rule.
func (p *Peer) Drowse() {
	p.tally.Lies[Control].Add(1)
	region := p.out
	if p.Rand.IntN(2) == 0 {
		region = p.in
	}
	word(region, uint32(128+p.Rand.IntN(2)*128)).Store(p.Number())
}

// scribble writes a few words with atomics, so that it races with nobody in the
// eyes of the memory model.
func (p *Peer) scribble(b []byte) {
	for range 1 + p.Rand.IntN(4) {
		word(b, uint32(p.Rand.IntN(len(b)&^3))).Store(p.Number())
	}
}

// Flip changes words that the victim reads, at full speed, until stop is closed:
// commit words at and behind the position of the last frame, between what stood
// there and lies about it, and the words of both control blocks.
func (p *Peer) Flip(seed uint64, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(seed, 1))
	capacity := uint32(len(p.out) - ring.ControlSize)
	data := p.out[ring.ControlSize:]
	for n := uint64(1); ; n++ {
		if n%1024 == 0 {
			p.tally.Flips.Add(1024)
			select {
			case <-stop:
				return
			default:
			}
		}
		w := word(data, (uint32(random.IntN(int(capacity))))&^7)
		switch was := w.Load(); {
		case random.IntN(64) == 0:
			word(p.in, uint32(random.IntN(2)*128+128)).Store(uint32(random.IntN(2)))
		case was&ring.Committed != 0:
			w.Store(was ^ uint32(1)<<random.IntN(32))
			w.Store(was &^ ring.LengthMask)
			w.Store(was)
		}
	}
}
