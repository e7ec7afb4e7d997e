// Command plugins serves the plugins of a chaos run. They check that what they
// read belongs to the request that they run for, and misbehave when it asks them
// to. They are named like the binary, NAME and NAME-first.
package main

import (
	"bytes"
	"errors"
	"flag"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kongring/kongring/luabridge/testbed/confine"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
)

// name is the name of the server, of its first plugin, and of the header that
// tells that plugin what to do.
var name = filepath.Base(os.Args[0])

// mixedUp begins the log line of a plugin that met what is not its request's.
const mixedUp = "MIXED UP: "

// ringBytes makes full rings an everyday matter.
const ringBytes = 32 << 10

func main() {
	noMemfd := flag.Bool("no-memfd", false, "have the kernel refuse shared memory")
	flag.Parse()
	if *noMemfd {
		if err := confine.WithoutMemfd(); err != nil {
			log.Fatal(err)
		}
	}
	err := server.Run(
		server.WithRingCapacity(ringBytes), server.WithGrace(5*time.Second),
		server.WithSocket(server.SocketPath(name)),
		server.WithPlugin(name+"-first", func() interface{} { return &first{} }, "0.1", 20),
		server.WithPlugin(name, func() interface{} { return &deed{} }, "0.1", 10),
	)
	if err != nil {
		log.Fatal(err)
	}
}

// first leaves the request's nonce for the others, before routing.
type first struct{}

func (*first) Rewrite(kong *pdk.PDK) {
	nonce, err := kong.Request.GetHeader("x-nonce")
	if err == nil {
		err = kong.Ctx.SetShared(name+"-first", nonce)
	}
	note(err)
}

// deed does what the request asks for in the header that is named like the
// server. Tag is in the answer, to tell one config from the next.
type deed struct {
	Tag string `json:"tag"`
}

func (d *deed) Access(kong *pdk.PDK) {
	nonce, err := kong.Request.GetHeader("x-nonce")
	do, err2 := kong.Request.GetHeader("x-" + name)
	query, err3 := kong.Request.GetQueryArg("nonce")
	before, err4 := kong.Ctx.GetSharedString(name + "-first")
	if err := errors.Join(err, err2, err3, err4); err != nil {
		note(err)
		return
	}
	same(nonce, query, "query")
	same(nonce, before, "the value of the rewrite phase")
	_ = kong.Response.SetHeader("x-tag-"+name, d.Tag)
	_ = kong.Ctx.SetShared(name, nonce)
	_ = kong.ServiceRequest.SetHeader("x-by-"+name, nonce)
	what, arg, _ := strings.Cut(do, ":")
	if f := deeds[what]; f != nil {
		f(kong, nonce, arg)
	}
	again, err := kong.Ctx.GetSharedString(name)
	if note(err) {
		return
	}
	same(nonce, again, "the value that was set")
	_ = kong.Response.SetHeader("x-by-"+name, again)
}

// Log checks what is left of the request.
func (d *deed) Log(kong *pdk.PDK) {
	nonce, err := kong.Request.GetHeader("x-nonce")
	query, err2 := kong.Request.GetQueryArg("nonce")
	if !note(errors.Join(err, err2)) {
		same(nonce, query, "query in the log phase")
	}
}

// note tells of an error. A call that fails since its event is over says so; any
// other error is the plugin's, and the log's.
func note(err error) bool {
	if err != nil {
		log.Print("call: ", err)
	}
	return err != nil
}

// same reports a value of another request.
func same(nonce, got, what string) {
	if got != nonce {
		log.Print(mixedUp, what, ": ", strconv.Quote(got), ", the request is ", strconv.Quote(nonce))
	}
}

var deeds = map[string]func(kong *pdk.PDK, nonce, arg string){
	"panic": func(*pdk.PDK, string, string) { panic("as asked") },
	"slow": func(kong *pdk.PDK, _, arg string) { // milliseconds; "" until it is given up
		var after <-chan time.Time
		if ms, err := strconv.Atoi(arg); err == nil {
			after = time.After(time.Duration(ms) * time.Millisecond)
		}
		select {
		case <-after:
		case <-kong.Context().Done():
		}
	},
	"body": func(kong *pdk.PDK, nonce, _ string) {
		body, err := kong.Request.GetRawBody()
		if note(err) {
			kong.Response.Exit(500, nil, nil)
			return
		}
		for rest := body; len(rest) > 0; {
			n := min(len(rest), len(nonce))
			if !bytes.Equal(rest[:n], []byte(nonce)[:n]) {
				same(nonce, string(rest[:n]), "body")
				break
			}
			rest = rest[n:]
		}
		kong.Response.Exit(200, body, map[string][]string{"x-by-" + name: {nonce}})
	},
	"writes": func(kong *pdk.PDK, nonce, arg string) {
		n, _ := strconv.Atoi(arg)
		for i := range n {
			_ = kong.Ctx.SetShared("n", nonce+strconv.Itoa(i))
		}
		got, err := kong.Ctx.GetSharedString("n")
		if n > 0 && !note(err) {
			same(nonce+strconv.Itoa(n-1), got, "the last of many writes")
		}
	},
	"long": func(kong *pdk.PDK, nonce, arg string) { // a value of so many KiB, there and back
		n, _ := strconv.Atoi(arg)
		long := strings.Repeat(nonce, n<<10/len(nonce))
		_ = kong.Ctx.SetShared("long", long)
		got, err := kong.Ctx.GetSharedString("long")
		if !note(err) && got != long {
			same(nonce, got[:min(len(got), 40)], "a long value")
		}
	},
	"goroutines": func(kong *pdk.PDK, nonce, _ string) {
		kong.Response.Exit(200, []byte(strconv.Itoa(runtime.NumGoroutine())), map[string][]string{"x-by-" + name: {nonce}})
	},
}
