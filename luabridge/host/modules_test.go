package host

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClient(t *testing.T) {
	h := startProbe(t)
	code := `local c = kong.client
		return c.get_ip(), c.get_forwarded_ip(), c.get_port() == tonumber(ngx.var.realip_remote_port),
			c.get_forwarded_port() == tonumber(ngx.var.remote_port)`
	for _, phase := range []string{"rewrite", "access", "header_filter", "body_filter", "log"} {
		require.Equal(t, []any{"127.0.0.1", "127.0.0.1", true, true}, h.eval(t, phase, call{path: "/canned"}, code))
	}
	require.Equal(t, []any{"127.0.0.1", "192.0.2.9"}, h.eval(t, "access",
		call{path: "/canned", header: map[string][]string{"X-Real-IP": {"192.0.2.9"}}}, code)[:2])
}

func TestConsumers(t *testing.T) {
	h := startProbe(t)
	ann := "c0000000-0000-4000-8000-000000000001"
	c := call{path: "/canned"}

	got := h.eval(t, "access", c, `return kong.client.load_consumer("`+ann+`")`)[0].(map[string]any)
	require.Equal(t, ann, got["id"])
	require.Equal(t, "ann", got["username"])
	require.Equal(t, "7", got["custom_id"])
	require.Equal(t, []any{"x"}, got["tags"])
	require.Greater(t, got["created_at"], 1.0e9)

	require.Equal(t, []any{ann, nil, "bob", nil, ann}, h.eval(t, "log", c, `local load = kong.client.load_consumer
		local bob = load("bob", true)
		return load("ann", true).id, load("c0000000-0000-4000-8000-000000000099"), load(bob.id).username,
			load("nobody", true), load("`+ann+`", true).id`))

	_, out := h.send(t, call{path: "/canned", code: map[string]string{
		"access": `local c = kong.client
			local before = c.get_consumer() == nil and c.get_credential() == nil
			c.authenticate({ id = "i" }, { id = "k", consumer_id = "i" })
			return before, c.get_consumer().id, c.get_credential().id`,
		"log": `local before = kong.client.get_consumer().id
			local s = kong.log.serialize() return before, s.consumer.id, s.authenticated_entity.consumer_id`,
	}})
	require.Equal(t, []any{true, "i", "k"}, out["access"].Values)
	require.Equal(t, []any{"i", "i", "i"}, out["log"].Values)

	require.Equal(t, []any{nil, "k"}, h.eval(t, "access", c, `kong.client.authenticate(nil, { id = "k" })
		return kong.client.get_consumer(), kong.client.get_credential().id`))
}

func TestProtocol(t *testing.T) {
	h := startProbe(t)
	https := map[string][]string{"X-Forwarded-Proto": {"https"}}
	code := `return kong.client.get_protocol(), kong.client.get_protocol(true)`
	require.Equal(t, []any{"http", "http"}, h.eval(t, "access", call{path: "/canned"}, code))
	require.Equal(t, []any{"http", "https"}, h.eval(t, "access", call{path: "/canned", header: https}, code))
	require.Equal(t, []any{"http", "http"}, h.eval(t, "access", call{path: "/whole", header: https}, code), "the route knows one protocol")
	require.Equal(t, []any{nil, "No active route found"}, h.eval(t, "log", call{path: "/none"}, `return kong.client.get_protocol()`))
	require.Equal(t, []any{nil, "Only one X-Forwarded-Proto header allowed"}, h.eval(t, "access",
		call{path: "/canned", header: map[string][]string{"X-Forwarded-Proto": {"https", "http"}}}, `return kong.client.get_protocol(true)`))
}

func TestIPIsTrusted(t *testing.T) {
	h := startProbe(t)
	for address, want := range map[string]bool{
		`"127.0.0.1"`: true, `"127.0.0.2"`: false, `"10.255.0.1"`: true, `"11.0.0.1"`: false,
		`"::1"`: true, `"::2"`: false, `"unix:"`: false, `""`: false, `nil`: false, `7`: false,
	} {
		require.Equal(t, []any{want}, h.eval(t, "access", call{path: "/canned"}, "return kong.ip.is_trusted("+address+")"), address)
	}
	require.Equal(t, []any{true, false, true, false, true, true, false}, h.eval(t, "access", call{path: "/canned"}, `
		local cidr = require "kong_host.cidr"
		local odd = cidr.matcher({ "192.168.128.0/17", "2001:db8::/33" })
		local all = cidr.matcher({ "0.0.0.0/0" })
		return odd("192.168.128.1"), odd("192.168.127.255"), odd("2001:db8:7fff::1"), odd("2001:db8:8000::1"),
			all("1.2.3.4"), cidr.is_valid("::/0"), cidr.is_valid("1.2.3.4/")`))
}

func TestRouterEntities(t *testing.T) {
	h := startProbe(t)
	values := h.eval(t, "log", call{path: "/proxy"}, `return kong.router.get_route(), kong.router.get_service()`)
	route, service := values[0].(map[string]any), values[1].(map[string]any)
	require.Equal(t, "proxy", route["name"])
	require.Equal(t, []any{"/proxy"}, route["paths"])
	require.Equal(t, []any{"http", "https"}, route["protocols"])
	require.Equal(t, true, route["strip_path"])
	require.Equal(t, map[string]any{"id": service["id"]}, route["service"])
	require.Equal(t, "echo", service["name"])
	require.Equal(t, "http", service["protocol"])
	require.Equal(t, "127.0.0.1", service["host"])
	require.Equal(t, "/base", service["path"])
	require.Equal(t, []any{"s"}, service["tags"])
	require.Equal(t, "http://127.0.0.1:"+strings.Split(h.echo.URL, ":")[2], h.echo.URL)

	values = h.eval(t, "access", call{path: "/canned"}, `return kong.router.get_route().tags, kong.router.get_service()`)
	require.Equal(t, []any{[]any{"r"}, nil}, values)
	require.Equal(t, []any{nil, nil}, h.eval(t, "log", call{path: "/none"},
		`return kong.router.get_route(), kong.router.get_service()`))
}

func TestNode(t *testing.T) {
	h := startProbe(t)
	hostname, err := os.Hostname()
	require.NoError(t, err)
	values := h.eval(t, "access", call{path: "/canned"}, `local n = kong.node
		return n.get_hostname(), n.get_id() == n.get_id(), n.get_id(), n.get_memory_stats(), n.get_memory_stats("k", 1),
			ngx.worker.pid(), kong.nginx.get_subsystem(), kong.version, kong.configuration`)
	require.Equal(t, []any{hostname, true}, values[:2])
	require.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$", values[2])

	stats := values[3].(map[string]any)
	worker := stats["workers_lua_vms"].([]any)[0].(map[string]any)
	require.Equal(t, values[5], worker["pid"])
	require.Greater(t, worker["http_allocated_gc"], 1000.0)
	dict := stats["lua_shared_dicts"].(map[string]any)["kong"].(map[string]any)
	require.Equal(t, 5.0*1024*1024, dict["capacity"])
	require.Contains(t, stats["lua_shared_dicts"], "kong_db_cache")
	scaled := values[4].(map[string]any)["lua_shared_dicts"].(map[string]any)["kong"].(map[string]any)
	require.Equal(t, "5120.0 KiB", scaled["capacity"])

	require.Equal(t, []any{"http", "host",
		map[string]any{"prefix": h.options.Prefix, "log_level": "notice"}}, values[6:])
}

func TestCtx(t *testing.T) {
	h := startProbe(t)
	_, out := h.send(t, call{path: "/canned", code: map[string]string{
		"rewrite":     `kong.ctx.shared.a = 1 kong.ctx.plugin.b = 2 return kong.ctx.other, kong.ctx.plugin.a`,
		"access":      `kong.ctx.shared.f = false return kong.ctx.shared.a, kong.ctx.plugin.b, kong.ctx.plugin ~= kong.ctx.shared`,
		"body_filter": `return kong.ctx.shared.a`,
		"log":         `return kong.ctx.shared.a, kong.ctx.plugin.b, kong.ctx.shared.f`,
	}})
	require.Equal(t, []any{nil, nil}, out["rewrite"].Values)
	require.Equal(t, []any{1.0, 2.0, true}, out["access"].Values)
	require.Equal(t, []any{1.0}, out["body_filter"].Values)
	require.Equal(t, []any{1.0, 2.0, false}, out["log"].Values)
	require.Equal(t, []any{nil, nil}, h.eval(t, "log", call{path: "/canned"}, `return kong.ctx.shared.a, kong.ctx.plugin.b`))
}

func TestLog(t *testing.T) {
	requireNginx(t)
	o := testOptions(t, `{"plugins": ["probe"], "global_plugins": [{"name": "probe"}]}`)
	o.LogLevel = "info"
	h := &probeHost{Host: startHost(t, o), client: newClient(t)}
	h.eval(t, "access", call{path: "/none"}, "return") // no route: code does not run
	_, out := h.send(t, call{path: "/none", code: map[string]string{"log": `
		kong.log("plain ", 1, nil, true)
		kong.log.err("error ", "two")
		kong.log.emerg("emergency") kong.log.alert("alert") kong.log.crit("critical") kong.log.warn("warning")
		kong.log.info("information") kong.log.debug("debugging")
		kong.log.notice() return kong.log == kong.log`}})
	require.Equal(t, []any{true}, out["log"].Values)
	text, err := h.ErrorLog()
	require.NoError(t, err)
	for _, line := range []string{
		"[notice] %d: *N [kong] probe:2 [probe] plain 1niltrue", "[error] %d: *N [kong] probe:3 [probe] error two",
		"[emerg] %d: *N [kong] probe:4 [probe] emergency", "[alert] %d: *N [kong] probe:4 [probe] alert",
		"[crit] %d: *N [kong] probe:4 [probe] critical", "[warn] %d: *N [kong] probe:4 [probe] warning",
		"[info] %d: *N [kong] probe:5 [probe] information",
	} {
		level, message, _ := strings.Cut(line, " %d: *N ")
		require.Regexp(t, regexpQuote(level)+` \d+#\d+: \*\d+ `+regexpQuote(message), text)
	}
	require.NotContains(t, text, "debugging")
}

func regexpQuote(text string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, ".", `\.`).Replace(text)
}

func TestSerialize(t *testing.T) {
	h := startProbe(t)
	_, out := h.send(t, call{path: "/proxy/x?a=1", header: map[string][]string{
		"Authorization": {"secret"}, "Proxy-Authorization": {"secret"}, "X-Want-Status": {"201"}},
		code: map[string]string{
			"rewrite": `kong.log.set_serialize_value("request.mine", { a = { 1, 2 } })`,
			"access": `local set = kong.log.set_serialize_value
				set("deep.er.value", 7) set("client_ip", "x", { mode = "add" }) set("added", "y", { mode = "add" })
				set("response.status", 1, { mode = "replace" }) set("absent", 1, { mode = "replace" })
				set("absent.too", 1, { mode = "replace" }) set("source", nil)`,
			"log": `local s = kong.log.serialize() s.request.headers["x-do-log"] = nil return s`,
		}})
	require.Empty(t, out["rewrite"].Err+out["access"].Err+out["log"].Err)
	s := out["log"].Values[0].(map[string]any)
	request, response := s["request"].(map[string]any), s["response"].(map[string]any)

	require.Equal(t, "/proxy/x?a=1", request["uri"])
	require.Equal(t, "http://"+h.Addr()+"/proxy/x?a=1", request["url"])
	require.Equal(t, "GET", request["method"])
	require.Equal(t, map[string]any{"a": "1"}, request["querystring"])
	require.Equal(t, "REDACTED", request["headers"].(map[string]any)["authorization"])
	require.Equal(t, "REDACTED", request["headers"].(map[string]any)["proxy-authorization"])
	require.Equal(t, map[string]any{"a": []any{1.0, 2.0}}, request["mine"])
	require.Greater(t, request["size"], 0.0)
	require.Len(t, request["id"], 32)
	require.Equal(t, 1.0, response["status"])
	require.Equal(t, "one", response["headers"].(map[string]any)["x-service"])
	require.Greater(t, response["size"], 0.0)
	require.Equal(t, "/base/x?a=1", s["upstream_uri"])
	require.Equal(t, "201", s["upstream_status"])
	require.Equal(t, "127.0.0.1", s["client_ip"])
	require.Equal(t, "y", s["added"])
	require.NotContains(t, s, "absent")
	require.NotContains(t, s, "source")
	require.Equal(t, map[string]any{"er": map[string]any{"value": 7.0}}, s["deep"])
	require.Equal(t, "proxy", s["route"].(map[string]any)["name"])
	require.Equal(t, "echo", s["service"].(map[string]any)["name"])
	require.Greater(t, s["started_at"], 1.0e12)
	for _, name := range []string{"request", "proxy", "kong", "receive"} {
		require.GreaterOrEqual(t, s["latencies"].(map[string]any)[name], 0.0)
	}

	require.Equal(t, []any{"kong", "", nil, -1.0}, h.eval(t, "log", call{path: "/none"}, `local s = kong.log.serialize()
		return s.source, s.upstream_uri, s.route, s.latencies.proxy`))

	for code, want := range map[string]string{
		`kong.log.set_serialize_value("a", print)`:                  "value must be nil, a number, string, boolean",
		`local t = {} t.t = t kong.log.set_serialize_value("a", t)`: "value must be nil, a number, string, boolean",
		`kong.log.set_serialize_value("client_ip.x", 1)`:            "key client_ip.x cannot be set: client_ip is not a table but 127.0.0.1",
	} {
		require.Contains(t, h.fail(t, "log", call{path: "/canned"}, code+" kong.log.serialize()"), want)
	}
}
