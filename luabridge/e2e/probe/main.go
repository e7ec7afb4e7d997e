// Command probe serves the plugins of the end-to-end tests: they do what a
// well-kept plugin never would, on demand.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kongring/kongring/luabridge/testbed/confine"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
)

var (
	ringBytes  = flag.Int("ring", 512<<10, "bytes of a ring")
	maxMessage = flag.Int("max", 64<<20, "longest message in bytes")
	sync       = flag.Bool("sync", false, "make every call a round trip")
	noMemfd    = flag.Bool("no-memfd", false, "have the kernel refuse shared memory")
	confined   = flag.Bool("confined", false, "run with the rights of the unit for systemd alone")
)

func main() {
	flag.Parse()
	if *noMemfd {
		if err := confine.WithoutMemfd(); err != nil {
			log.Fatal(err)
		}
	}
	if *confined {
		noNewCode, err := confine.AsUnit()
		if err != nil {
			log.Fatal(err)
		}
		log.Print("probe: confined, memory that could be executed refused: ", noNewCode)
	}
	var all []server.Option
	if *sync {
		all = []server.Option{server.SyncWrites(), server.WithoutMemo(), server.WithoutPrefetch()}
	}
	err := server.Run(append(all,
		server.WithRingCapacity(*ringBytes), server.WithMaxMessage(*maxMessage),
		server.WithSocket(server.SocketPath("probe")),
		server.WithGrace(5*time.Second),
		server.WithPlugin("probe", func() interface{} { return &probe{} }, "0.1", 10),
		withNarrow(),
		server.WithPlugin("strict", func() interface{} { return &strict{} }, "0.1", 10),
		server.WithPlugin("early", func() interface{} { return &early{} }, "0.1", 20),
		server.WithPlugin("shake", func() interface{} { return &shake{} }, "0.1", 30),
		server.WithPlugin("flow", func() interface{} { return &flow{} }, "0.1", 30),
		server.WithPlugin("greedy", func() interface{} { return &greedy{} }, "0.1", 10, server.Prefetch("access",
			server.Get("kong.response.get_status"),          // raises
			server.Get("kong.request.get_query", 0),         // likewise
			server.Get("kong.nginx.get_ctx", "KONG_LOG"),    // has no place in a message
			server.Get("kong.ctx.shared.get", "big"),        // is longer than all that comes along
			server.Get("kong.ctx.shared.get", "none"),       // is nil
			server.Get("kong.client.get_protocol", 1, 2, 3), // has too many arguments
			server.Get("kong.request.get_path"),
		)),
	)...)
	if err != nil {
		log.Fatal(err)
	}
}

// probe does what the request asks for in header x-do.
type probe struct {
	Do    string `json:"do"`    // unless the header says
	Count int    `json:"count"` // a field for configs of the wrong type
}

func (p *probe) Access(kong *pdk.PDK) {
	do, err := kong.Request.GetHeader("x-do")
	if err != nil {
		panic(err)
	}
	if do == "" {
		do = p.Do
	}
	what, arg, _ := strings.Cut(do, ":")
	if f := actions[what]; f != nil {
		f(kong, arg)
	}
}

var actions = map[string]func(kong *pdk.PDK, arg string){
	"panic":  func(_ *pdk.PDK, arg string) { panic("boom " + arg) },
	"deep":   func(_ *pdk.PDK, _ string) { deep(20) },
	"levels": levels,
	"goexit": func(*pdk.PDK, string) { runtime.Goexit() },
	"die":    func(*pdk.PDK, string) { os.Exit(3) },
	"sleep": func(kong *pdk.PDK, arg string) {
		d, err := time.ParseDuration(arg)
		if err != nil {
			panic(err)
		}
		log.Print("probe: sleeps")
		select {
		case <-time.After(d):
		case <-kong.Context().Done():
			log.Print("probe: the context was cancelled")
		}
	},
	"ask-forever": func(kong *pdk.PDK, _ string) {
		for {
			if _, err := kong.Request.GetPath(); err != nil {
				log.Print("probe: asks no more: ", err)
				return
			}
		}
	},
	"exit-then-call": func(kong *pdk.PDK, _ string) {
		kong.Response.Exit(418, []byte("short"), map[string][]string{"x-exit": {"yes"}})
		_, err := kong.Request.GetPath()
		log.Print("probe: call after exit: ", errText(err))
	},
	// A method that the access phase forbids.
	"forbidden": func(kong *pdk.PDK, _ string) {
		_, err := kong.Response.GetStatus()
		log.Print("probe: forbidden call: ", errText(err))
	},
	"bad-argument": func(kong *pdk.PDK, _ string) { _ = kong.Response.SetStatus(9999) },
	"bad-value": func(kong *pdk.PDK, _ string) {
		err := kong.Ctx.SetShared("k", struct{}{})
		answer(kong, errText(err))
	},
	"body": func(kong *pdk.PDK, _ string) {
		body, err := kong.Request.GetRawBody()
		if err != nil {
			answer(kong, errText(err))
			return
		}
		kong.Response.Exit(200, body, nil)
	},
	"say": func(kong *pdk.PDK, arg string) { kong.Response.Exit(200, []byte(arg), nil) },
	"all": all,
	// A body and so many headers that reading them makes garbage.
	"big-exit": func(kong *pdk.PDK, _ string) {
		headers := map[string][]string{}
		for i := range 3000 {
			headers["x-h-"+strconv.Itoa(i)] = []string{"value-" + strconv.Itoa(i)}
		}
		kong.Response.Exit(200, bytes.Repeat([]byte("b"), 1<<20), headers)
	},
	"mix": mix,
	"writes": func(kong *pdk.PDK, arg string) { // so many, and a long one
		n, _ := strconv.Atoi(arg)
		for i := range n {
			_ = kong.Ctx.SetShared("n", i)
		}
		_ = kong.Ctx.SetShared("long", strings.Repeat("x", 1<<20))
		last, err := kong.Ctx.GetSharedFloat("n")
		if err != nil {
			panic(err)
		}
		long, err := kong.Ctx.GetSharedString("long")
		if err != nil {
			panic(err)
		}
		kong.Response.Exit(200, []byte(strconv.Itoa(int(last))+" "+strconv.Itoa(len(long))), nil)
	},
	// What go-pdk's protocol has no place for.
	"no-protobuf": func(kong *pdk.PDK, _ string) {
		_ = kong.Ctx.SetShared("gone", "was here")
		_ = kong.Ctx.SetShared("gone", nil)
		_ = kong.Ctx.SetShared("off", false)
		gone, err := kong.Ctx.GetSharedAny("gone")
		off, err2 := kong.Ctx.GetSharedAny("off")
		if err := errors.Join(err, err2); err != nil {
			panic(err)
		}
		_ = kong.Log.Err("no protobuf: ", false, nil, " ", gone == nil, " ", off == false)
		_ = kong.ServiceRequest.SetRawBody("\xff\x00\xfe")
	},
	"log": func(kong *pdk.PDK, arg string) { _ = kong.Log.Err("logged by probe: ", arg) },
	"goroutine": func(kong *pdk.PDK, _ string) {
		go func() {
			time.Sleep(20 * time.Millisecond) // outlives its handler
			_, err := kong.Request.GetPath()
			log.Print("probe: late call: ", errText(err))
		}()
	},
}

// deep panics far down.
func deep(n int) {
	if n == 0 {
		panic("boom far down")
	}
	deep(n - 1)
}

// levels writes a line at each level.
func levels(kong *pdk.PDK, arg string) {
	for name, write := range map[string]func(...interface{}) error{
		"emerg": kong.Log.Emerg, "alert": kong.Log.Alert, "crit": kong.Log.Crit, "error": kong.Log.Err,
		"warn": kong.Log.Warn, "notice": kong.Log.Notice, "info": kong.Log.Info, "debug": kong.Log.Debug,
	} {
		_ = write("at ", name, " in ", arg)
	}
}

func errText(err error) string {
	if err == nil {
		return "nil"
	}
	return err.Error()
}

func answer(kong *pdk.PDK, value interface{}) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	kong.Response.Exit(200, text, map[string][]string{"content-type": {"application/json"}})
}

// mix reads what it wrote and writes what it read.
func mix(kong *pdk.PDK, _ string) {
	for i := range 3 {
		header, err := kong.Request.GetHeader("x-twice")
		path, err2 := kong.Request.GetPath()
		arg, err3 := kong.Request.GetQueryArg("a")
		method, err4 := kong.Request.GetMethod()
		mixed, err5 := kong.Request.GetHeader("X_Mix")
		host, err6 := kong.Request.GetHost()
		if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil {
			panic(err)
		}
		seen := strings.Join([]string{header, path, arg, method, mixed, host}, ",")
		_ = kong.Response.AddHeader("x-seen", seen)
		_ = kong.ServiceRequest.SetHeader("x-mix", strconv.Itoa(i))
		_ = kong.Ctx.SetShared("k", i)
		if shared, err := kong.Ctx.GetSharedFloat("k"); err != nil || shared != float64(i) {
			panic(shared)
		}
		_ = kong.Response.SetHeader("x-mix", seen)
	}
}

// all answers with what every getter gives.
func all(kong *pdk.PDK, _ string) {
	out := map[string]interface{}{}
	put := func(name string) func(v interface{}, err error) {
		return func(v interface{}, err error) {
			if err != nil {
				v = "error: " + err.Error()
			}
			out[name] = v
		}
	}
	r := kong.Request
	put("scheme")(any1(r.GetScheme()))
	put("host")(any1(r.GetHost()))
	put("port")(any1(r.GetPort()))
	put("forwarded_scheme")(any1(r.GetForwardedScheme()))
	put("forwarded_host")(any1(r.GetForwardedHost()))
	put("forwarded_port")(any1(r.GetForwardedPort()))
	put("http_version")(any1(r.GetHttpVersion()))
	put("method")(any1(r.GetMethod()))
	put("path")(any1(r.GetPath()))
	put("path_with_query")(any1(r.GetPathWithQuery()))
	put("raw_query")(any1(r.GetRawQuery()))
	put("query_arg")(any1(r.GetQueryArg("a")))
	put("query_arg_valueless")(any1(r.GetQueryArg("flag")))
	put("query_arg_absent")(any1(r.GetQueryArg("none")))
	put("query")(any1(r.GetQuery(-1)))
	put("header")(any1(r.GetHeader("X_Twice")))
	put("header_absent")(any1(r.GetHeader("x-none")))
	put("headers")(any1(r.GetHeaders(-1)))
	unnamed, named, err := r.GetUriCaptures()
	put("captures")([]interface{}{len(unnamed), len(named)}, err)
	put("client_ip")(any1(kong.Client.GetIp()))
	put("client_forwarded_ip")(any1(kong.Client.GetForwardedIp()))
	put("client_forwarded_port")(any1(kong.Client.GetForwardedPort()))
	put("consumer")(any1(kong.Client.GetConsumer()))
	put("credential")(any1(kong.Client.GetCredential()))
	put("protocol")(any1(kong.Client.GetProtocol(false)))
	put("set_shared")(nil, kong.Ctx.SetShared("k", map[string]interface{}{"a": 1, "b": []interface{}{true, nil, "x"}}))
	put("shared")(any1(kong.Ctx.GetSharedAny("k")))
	put("shared_early")(any1(kong.Ctx.GetSharedString("early")))
	put("shared_absent")(any1(kong.Ctx.GetSharedAny("none")))
	put("var")(any1(kong.Nginx.GetVar("request_method")))
	put("var_absent")(any1(kong.Nginx.GetVar("http_x_none")))
	put("ctx_absent")(any1(kong.Nginx.GetCtxAny("none")))
	put("subsystem")(any1(kong.Nginx.GetSubsystem()))
	start, err := kong.Nginx.ReqStartTime()
	put("start_time_is_recent")(time.Since(time.Unix(int64(start), 0)) < time.Minute, err)
	answer(kong, out)
}

func any1[T any](v T, err error) (interface{}, error) { return v, err }

// greedy declares getters that cannot come along, before one that can.
type greedy struct{}

func (*greedy) Access(kong *pdk.PDK) {
	big, err := kong.Ctx.GetSharedString("big")
	none, err2 := kong.Ctx.GetSharedAny("none")
	path, err3 := kong.Request.GetPath()
	if err := errors.Join(err, err2, err3); err != nil {
		panic(err)
	}
	_, err = kong.Nginx.GetCtxAny("KONG_LOG")
	answer(kong, []interface{}{len(big), none, path, errText(err)})
}

// early runs in rewrite, before routing.
type early struct{ Do string }

func (e *early) Rewrite(kong *pdk.PDK) {
	if err := kong.Ctx.SetShared("early", "from rewrite"); err != nil {
		panic(err)
	}
	switch do, _ := kong.Request.GetHeader("x-early"); do {
	case "exit":
		kong.Response.Exit(410, []byte("gone"), nil)
	case "log":
		_ = kong.Log.Err("logged by early")
	case "big":
		_ = kong.Ctx.SetShared("big", strings.Repeat("b", 20<<10))
	}
}
