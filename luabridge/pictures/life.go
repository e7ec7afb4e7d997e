package main

// session draws the states of a worker's session.
func session() *canvas {
	c := &canvas{width: 900, height: 400, title: "The states of a session, as the worker sees it"}
	c.box(40, 40, 200, 62, plain, "no server", "requests: 503, or pass")
	c.box(350, 40, 200, 62, worker, "attaching", "requests wait, up to 1 s")
	c.box(660, 40, 200, 62, shared, "attached", "events, calls, doorbells")
	c.box(660, 290, 200, 62, worker, "seen off", "only events under way")
	c.box(350, 290, 200, 62, plain, "over", "memory is given back")

	c.arrow(240, 58, 348, 58, "look again")
	c.arrow(350, 88, 242, 88, "")
	c.text(296, 118, "middle", "note", "nobody listens, or it refuses")
	c.arrow(550, 70, 658, 70, "welcome")
	c.path(720, 102, 720, 288)
	for i, line := range []string{"the server stops, or", "the worker leaves;", "new events go to", "another session"} {
		c.text(730, 170+i*leading, "start", "", line)
	}
	c.arrow(660, 321, 552, 321, "")
	c.text(606, 342, "middle", "note", "the last")
	c.text(606, 361, "middle", "note", "answer read")
	c.path(680, 102, 680, 196, 450, 196, 450, 288)
	c.text(565, 187, "middle", "", "hang-up: a side died,")
	c.text(565, 217, "middle", "", "or wrote what it may not")
	c.path(350, 321, 140, 321, 140, 104)
	c.text(150, 305, "start", "note", "after 10 ms, then")
	c.text(150, 342, "start", "note", "up to every 250 ms")
	return c
}

// handOver draws how a new server takes over from an old one.
func handOver() *canvas {
	const oldServer, path, attached, newServer = 120, 340, 560, 780
	c := &canvas{width: 900, height: 470, title: "How a new plugin server takes over from the old one without a failed request"}
	c.box(oldServer-90, 20, 180, 44, server, "old server")
	c.box(path-80, 20, 160, 44, plain, "the socket's path")
	c.box(attached-80, 20, 160, 44, worker, "nginx worker")
	c.box(newServer-90, 20, 180, 44, server, "new server")
	for _, x := range []int{oldServer, path, attached, newServer} {
		c.lifeline(x, 64, 446)
	}
	c.arrow(newServer, 100, path, 100, "1  renames its own socket over it, in one step")
	c.arrow(attached, 142, oldServer, 142, "2  events go on as before")
	c.text(oldServer+10, 178, "start", "head", "3  SIGTERM: it begins no event from now on")
	c.arrow(oldServer, 214, attached, 214, "4  hangs up the doorbell")
	c.arrow(attached, 256, newServer, 256, "5  attaches, by the path")
	c.arrow(attached, 298, newServer, 298, "6  all new events")
	c.text(attached+10, 320, "start", "note", "also one that the old server refused:")
	c.text(attached+10, 339, "start", "note", "it had not begun")
	c.arrow(oldServer, 362, attached, 362, "7  the answers to what was under way")
	c.arrow(attached, 404, oldServer, 404, "8  hangs up behind the last one")
	c.text(oldServer+10, 436, "start", "head", "9  ends")
	return c
}
