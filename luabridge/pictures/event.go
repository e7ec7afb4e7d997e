package main

// request draws the way of one event.
func request() *canvas {
	const (
		client, lua, rings, goSide = 70, 300, 550, 780
		last                       = 452
	)
	c := &canvas{width: 940, height: 480, title: "The way of one event between nginx and the plugin server"}
	c.box(client-50, 20, 100, 44, plain, "client")
	c.box(lua-100, 20, 200, 44, worker, "nginx worker", "the request's coroutine")
	c.box(rings-70, 20, 140, 44, shared, "two rings", "shared memory")
	c.box(goSide-90, 20, 180, 44, server, "plugin server", "the ring's reader")
	for _, x := range []int{client, lua, rings, goSide} {
		c.lifeline(x, 64, last)
	}
	c.arrow(client, 96, lua, 96, "request")
	c.arrow(lua, 136, goSide, 136, "EVENT: instance, phase, values it mostly asks for")
	c.box(goSide-75, 146, 170, 25, server, "the handler starts")
	c.text(goSide-8, 190, "middle", "note", "setters and log lines")
	c.text(goSide-8, 208, "middle", "note", "are kept for the next message")
	c.arrow(goSide, 240, lua, 240, "CALL: writes so far, a method and its arguments")
	c.box(lua-140, 252, 280, 25, worker, "applies the writes, runs the method")
	c.arrow(lua, 308, goSide, 308, "RETURN: the result")
	c.text(rings, 328, "middle", "note", "only for what is not known: mostly none")
	c.box(goSide-75, 338, 170, 25, server, "the handler returns")
	c.arrow(goSide, 392, lua, 392, "DONE: the last writes")
	c.text(lua+8, 414, "start", "note", "applies them, and goes on")
	c.arrow(lua, 440, client, 440, "answer")
	return c
}

// waiting draws the ladders of both sides.
func waiting() *canvas {
	c := &canvas{width: 900, height: 392, title: "How each side waits: it looks, looks on, and sleeps"}
	ladder := func(x int, kind, who string, rungs [3][2]string, up, down string) {
		c.text(x+190, 36, "middle", "head", who)
		for i, rung := range rungs {
			y := 56 + i*112
			c.box(x, y, 380, 62, kind, rung[0], rung[1])
			if i < 2 {
				c.path(x+150, y+62, x+150, y+112)
				c.text(x+140, y+92, "end", "note", up)
				c.path(x+230, y+112, x+230, y+62)
				c.text(x+240, y+92, "start", "note", down)
			}
		}
	}
	ladder(40, worker, "nginx worker", [3][2]string{
		{"looks on in the C helper", "10 µs, if no other request is under way"},
		{"yields; one look per turn of nginx's loop", "for all that wait, up to 40 turns in vain"},
		{"sleeps in nginx's loop", "a byte on the doorbell connection wakes it"},
	}, "nothing came", "a frame")
	ladder(480, server, "plugin server", [3][2]string{
		{"looks at the ring", "a frame that is there costs no more"},
		{"looks on, 100 µs", "and offers its processor each microsecond"},
		{"sleeps", "a byte on its socket wakes it"},
	}, "nothing came", "a frame")
	c.text(450, 370, "middle", "note", "A step that did not pay eight times in a row is left out, but for one time in sixteen.")
	return c
}
