package host

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The phases in which each function may be called, and where else it is tried.
func TestPhaseRules(t *testing.T) {
	h := startProbe(t)
	const (
		request         = "rewrite, access, balancer, response, header_filter, body_filter, log, error, admin_api"
		body            = "rewrite, access, response, error, admin_api"
		read            = "response, header_filter, body_filter, log, error, admin_api"
		write           = "rewrite, access, balancer, response, header_filter, error, admin_api"
		serviceResponse = "response, header_filter, body_filter, log"
		authenticated   = "access, response, header_filter, body_filter, log"
		rewriteAccess   = "rewrite, access"
		balancer        = "rewrite, access, balancer"
	)
	// What of these the host runs is in phases; a function is tried in all of
	// them, and must complain in exactly those that are not allowed.
	phases := []string{"rewrite", "access", "header_filter", "body_filter", "log"}

	for name, allowed := range map[string]string{
		"request.get_raw_body":             body,
		"response.get_status":              read,
		"response.get_header":              read,
		"response.get_headers":             read,
		"response.get_source":              read,
		"response.set_status":              write,
		"response.set_header":              write,
		"response.add_header":              write,
		"response.clear_header":            write,
		"response.set_headers":             write,
		"response.exit":                    write,
		"response.error":                   write,
		"service.response.get_status":      serviceResponse,
		"service.response.get_header":      serviceResponse,
		"service.response.get_headers":     serviceResponse,
		"service.response.get_raw_body":    serviceResponse,
		"service.request.set_header":       balancer,
		"service.request.set_path":         balancer,
		"service.request.set_scheme":       balancer,
		"service.request.set_raw_body":     balancer,
		"service.request.enable_buffering": balancer,
		"service.request.set_method":       rewriteAccess,
		"service.request.set_query":        rewriteAccess,
		"service.request.set_raw_query":    rewriteAccess,
		"service.request.add_header":       rewriteAccess,
		"service.request.clear_header":     rewriteAccess,
		"service.request.set_headers":      rewriteAccess,
		"service.set_target":               "rewrite, access, balancer, preread",
		"client.authenticate":              "access",
		"client.get_credential":            authenticated,
		"client.get_consumer":              authenticated,
		"client.load_consumer":             authenticated,
		"client.get_protocol":              authenticated,
		"router.get_route":                 authenticated,
		"router.get_service":               authenticated,
		"log.serialize":                    "log",
		"log.set_serialize_value":          "rewrite, access, response, header_filter, body_filter, log",
	} {
		t.Run(name, func(t *testing.T) {
			code := make(map[string]string)
			for _, phase := range phases {
				// Without arguments most complain about those, once allowed;
				// one that does not must not change the next phase.
				code[phase] = `local saved = ngx.ctx.buffered_proxying
					local ok, err = pcall(kong.` + name + `) ngx.ctx.buffered_proxying = saved return ok, err`
			}
			_, out := h.send(t, call{path: "/canned", code: code})
			for _, phase := range phases {
				require.NotEmpty(t, out[phase].Values, "%s raised %q", phase, out[phase].Err)
				message, _ := out[phase].Values[1].(string)
				want := "kong." + name + ": function cannot be called in " + phase + " phase (only in: " + allowed + ")"
				if containsPhase(allowed, phase) {
					require.NotContains(t, message, "cannot be called", phase)
				} else {
					require.Contains(t, message, want)
				}
			}
		})
	}

	for _, name := range []string{"get_scheme", "get_host", "get_path", "get_header", "get_headers", "get_query",
		"get_forwarded_scheme", "get_forwarded_host", "get_forwarded_port", "get_forwarded_path", "get_forwarded_prefix",
		"get_http_version", "get_method", "get_raw_path", "get_path_with_query", "get_raw_query", "get_query_arg",
		"get_start_time", "get_uri_captures"} {
		got := h.eval(t, "log", call{path: "/canned"}, `ngx.ctx.KONG_PHASE = 2 local _, err = pcall(kong.request.`+name+`)
			ngx.ctx.KONG_PHASE = 0x2000 return err`)
		require.Equal(t, []any{"kong.request." + name + ": function cannot be called in certificate phase (only in: " + request + ")"}, got)
	}
}

func containsPhase(list, phase string) bool {
	for len(list) > 0 {
		if len(list) >= len(phase) && list[:len(phase)] == phase {
			return true
		}
		next := 0
		for next < len(list) && list[next] != ' ' {
			next++
		}
		if next == len(list) {
			return false
		}
		list = list[next+1:]
	}
	return false
}

func TestPhaseErrorNamesCallersLine(t *testing.T) {
	h := startProbe(t)
	require.Equal(t, "probe:2: kong.client.get_consumer: function cannot be called in rewrite phase "+
		"(only in: access, response, header_filter, body_filter, log)",
		h.fail(t, "rewrite", call{path: "/canned"}, "\nkong.client.get_consumer()"))
}

func TestInitWorkerPhase(t *testing.T) {
	h := startProbe(t)
	require.Contains(t, h.result(t, "worker", "init_worker"),
		`kong.client.get_ip: function cannot be called in init_worker phase (can be called in any phases except: init_worker)`)
}

func TestCallsOutsideTheRunLoop(t *testing.T) {
	o := testOptions(t, "{}")
	// Kong's own content handlers are its Admin API.
	o.ExtraServer += `
		location = /content { content_by_lua_block { 
			kong.response.exit(201, kong.request.get_path() .. " " .. kong.client.get_ip()) } }
		location = /access { access_by_lua_block {
			local _, err = pcall(kong.request.get_path) local _, other = pcall(kong.client.get_ip)
			ngx.say(err) ngx.say(other) ngx.exit(200) } }`
	o.ExtraInitWorker = `ngx.timer.at(0, function()
		local _, err = pcall(kong.request.get_path)
		ngx.shared.results:set("timer", err .. tostring(kong.ctx.plugin)) end)`
	h := startHost(t, o)
	client := newClient(t)
	require.Equal(t, "/content 127.0.0.1", get(t, client, h.URL()+"/content").body)
	require.Equal(t, "kong.request.get_path: no phase in ngx.ctx.KONG_PHASE, (need one of rewrite, access, balancer, response, "+
		"header_filter, body_filter, log, error, admin_api)\nkong.client.get_ip: no phase in ngx.ctx.KONG_PHASE\n",
		get(t, client, h.URL()+"/access").body)
	poll(t, "timer", func() bool { return get(t, client, h.URL()+"/results?key=timer").body != "" })
	require.Contains(t, get(t, client, h.URL()+"/results?key=timer").body, "kong.request.get_path: no phase")
}
