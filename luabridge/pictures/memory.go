package main

// ring draws one ring, and one frame of it.
func ring() *canvas {
	c := &canvas{width: 900, height: 412, title: "A ring in shared memory, and a frame in it"}
	c.text(30, 34, "start", "head", "One direction: 384 bytes of control words, and a power of two of data")
	for i, word := range []string{"Consumed", "Sleeping", "Starved"} {
		c.box(30+i*100, 50, 100, 46, shared, word, "128 bytes")
	}
	x := 330
	for _, part := range []struct {
		width int
		kind  string
		text  string
	}{{90, plain, "read"}, {80, shared, "frame"}, {80, shared, "frame"}, {110, shared, "frame"}, {26, plain, "0"}, {104, plain, "free"}, {50, plain, "pad"}} {
		c.box(x, 50, part.width, 46, part.kind, part.text)
		x += part.width
	}
	c.arrow(420, 140, 420, 98, "")
	c.text(420, 158, "middle", "", "the consumer reads here")
	c.arrow(703, 140, 703, 98, "")
	c.text(703, 158, "middle", "", "the producer writes here")
	c.text(30, 192, "start", "note", "The word behind the last frame is 0: the consumer looks at that word, and at nothing else. A frame never goes")
	c.text(30, 211, "start", "note", "round the end: a pad takes the rest. Positions only grow; Consumed gives bytes back, a quarter at a time.")

	c.text(30, 252, "start", "head", "A frame")
	c.box(30, 266, 200, 46, shared, "commit word", "4 bytes, stored last")
	c.box(230, 266, 380, 46, shared, "payload", "a message, or a piece of one")
	c.box(610, 266, 130, 46, plain, "up to 7 bytes")
	c.text(30, 338, "start", "", "bit 31: committed    bit 30: a pad    bit 29: more pieces follow    bits 28 to 0: length")
	c.text(30, 366, "start", "note", "A message up to a few dozen bytes is one cache line that moves between two cores. Whatever the other side writes:")
	c.text(30, 385, "start", "note", "each word is loaded once, its length is checked, and the payload is copied out before anybody looks at it.")
	return c
}
