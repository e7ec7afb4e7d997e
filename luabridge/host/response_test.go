package host

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// setters change the response in whatever phase they run.
const setters = `
	kong.response.set_status(201)
	kong.response.set_header("X-One", "1")
	kong.response.set_header("X-Number", 7)
	kong.response.set_header("X-Bool", true)
	kong.response.set_header("X-Empty", "")
	kong.response.set_header("X-Many", { "a", "", "b" })
	kong.response.add_header("X-Added", "a")
	kong.response.add_header("X-Added", "b")
	kong.response.add_header("X-Added", { "c", "d" })
	kong.response.set_header("X-Gone", "g")
	kong.response.clear_header("X_Gone")
	kong.response.set_headers({ ["X-Set"] = "s", ["X-Sets"] = { "t", "u" }, ["X-One"] = "2", ["X-Bool"] = {} })
	kong.response.set_header("Transfer-Encoding", "chunked")
	kong.response.set_headers({ transfer_encoding = "chunked" })`

func TestResponseSetters(t *testing.T) {
	h := startProbe(t)
	for _, phase := range []string{"rewrite", "access", "header_filter"} {
		for _, path := range []string{"/canned", "/proxy"} {
			answer, out := h.send(t, call{path: path, code: map[string]string{
				phase: setters,
				"log": `return kong.response.get_header("x_many"), kong.response.get_header("X-MANY"),
					kong.response.get_header("absent"), kong.response.get_headers()["x-many"],
					kong.response.get_headers().X_Number, kong.response.get_status(),
					select(2, kong.response.get_headers(1))`,
			}})
			require.Empty(t, out[phase].Err)
			header := answer.header
			for name, want := range map[string][]string{
				"X-One": {"2"}, "X-Number": {"7"}, "X-Empty": {""}, "X-Many": {"a", "", "b"},
				"X-Added": {"a", "b", "c", "d"}, "X-Gone": nil, "X-Set": {"s"}, "X-Sets": {"t", "u"},
				"X-Bool": nil,
			} {
				require.Equal(t, want, header.Values(name), "%s in %s of %s", name, phase, path)
			}
			status := 201.0
			if phase != "header_filter" {
				status = 200 // set anew by whoever answers
			}
			require.Equal(t, int(status), answer.status)
			require.Equal(t, []any{"a", "a", nil, []any{"a", " ", "b"}, "7", status, "truncated"}, out["log"].Values)
		}
	}
}

func TestEmptyHeaderBecomesSpaceOnTheWire(t *testing.T) {
	h := startProbe(t)
	// Readers strip the space, so look at what nginx holds.
	require.Equal(t, []any{" "}, h.eval(t, "access", call{path: "/canned"},
		`kong.response.set_header("X-E", "") return ngx.header["X-E"]`))
	require.Equal(t, []any{" "}, h.eval(t, "access", call{path: "/canned"},
		`kong.service.request.set_header("X-E", "") return kong.request.get_header("X-E")`))
}

func TestResponseArgumentErrors(t *testing.T) {
	h := startProbe(t)
	for code, want := range map[string]string{
		`kong.response.set_status("200")`:                "code must be a number",
		`kong.response.set_status(99)`:                   "code must be a number between 100 and 599",
		`kong.response.set_status(600)`:                  "code must be a number between 100 and 599",
		`kong.response.set_header(1, "a")`:               `invalid header name "1": got number, expected string`,
		`kong.response.set_header("a")`:                  `invalid header value for "a": got nil, expected string, number, boolean or array of strings`,
		`kong.response.set_header("a", print)`:           `invalid header value for "a": got function, expected string, number, boolean or array of strings`,
		`kong.response.set_header("a", {1})`:             `invalid header value in array "a": got number, expected string`,
		`kong.response.add_header("a", {{}})`:            `invalid header value in array "a": got table, expected string`,
		`kong.response.clear_header(1)`:                  "header name must be a string",
		`kong.response.set_headers("a")`:                 "headers must be a table",
		`kong.response.set_headers({1})`:                 `invalid header name "1": got number, expected string`,
		`kong.response.set_headers({a={1}})`:             `invalid header value in array "a": got number, expected string`,
		`kong.response.exit("200")`:                      "code must be a number",
		`kong.response.exit(99)`:                         "code must be a number between 100 and 599",
		`kong.response.exit(200, 7)`:                     "body must be a nil, string or table",
		`kong.response.exit(200, "", "x")`:               "headers must be a nil or table",
		`kong.response.exit(200, "", {a=print})`:         `invalid header value for "a": got function, expected string, number, boolean or array of strings`,
		`kong.response.error("500")`:                     "code must be a number",
		`kong.response.error(399)`:                       "code must be a number between 400 and 599",
		`kong.response.error(500, 7)`:                    "message must be a nil, a string or a table",
		`kong.response.error(500, "", 7)`:                "headers must be a nil or table",
		`kong.service.request.set_header("a", {1})`:      `invalid header value in array "a": got number, expected string`,
		`kong.service.request.add_header(1, "a")`:        `invalid header name "1": got number, expected string`,
		`kong.service.request.clear_header(1)`:           "header must be a string",
		`kong.service.request.set_headers(1)`:            "headers must be a table",
		`kong.service.request.set_path(1)`:               "path must be a string",
		`kong.service.request.set_path("a")`:             "path must start with /",
		`kong.service.request.set_scheme(1)`:             "scheme must be a string",
		`kong.service.request.set_scheme("grpc")`:        "invalid scheme: grpc",
		`kong.service.request.set_method(1)`:             "method must be a string",
		`kong.service.request.set_method("get")`:         "invalid method: get",
		`kong.service.request.set_raw_query(1)`:          "query must be a string",
		`kong.service.request.set_query("a")`:            "args must be a table",
		`kong.service.request.set_query({"a"})`:          "arg keys must be strings",
		`kong.service.request.set_raw_body(1)`:           "body must be a string",
		`kong.service.set_target(1, 80)`:                 "host must be a string",
		`kong.service.set_target("a", "80")`:             "port must be an integer",
		`kong.service.set_target("a", 1.5)`:              "port must be an integer",
		`kong.service.set_target("a", 65536)`:            "port must be an integer between 0 and 65535: given 65536",
		`kong.client.load_consumer(1)`:                   "consumer_id must be a string",
		`kong.client.load_consumer("ann")`:               "cannot load a consumer with an id that is not a uuid",
		`kong.client.authenticate()`:                     "either credential or consumer must be provided",
		`kong.client.authenticate("a")`:                  "consumer must be a table or nil",
		`kong.client.authenticate(nil, "a")`:             "credential must be a table or nil",
		`kong.log.set_serialize_value(1, 1)`:             "key must be a string",
		`kong.log.set_serialize_value("a",1,{mode="x"})`: "mode must be 'set', 'add' or 'replace'",
		`kong.node.get_memory_stats("x")`:                "invalid unit 'x' (expected 'k/K', 'm/M', or 'g/G')",
		`kong.node.get_memory_stats("k", -1)`:            "scale must be equal or greater than 0",
	} {
		require.Equal(t, "probe:1: "+want, h.fail(t, "access", call{path: "/canned"}, code), code)
	}
	require.Contains(t, h.fail(t, "access", call{path: "/canned"}, `kong.service.request.set_query({a={{}}})`), "attempt to use table as query arg value")
}

func TestExit(t *testing.T) {
	h := startProbe(t)
	for name, c := range map[string]struct {
		code        string
		status      int
		body        string
		contentType string
	}{
		"status":       {`kong.response.exit(204)`, 204, "", ""},
		"string":       {`kong.response.exit(200, "text")`, 200, "text", ""},
		"empty string": {`kong.response.exit(200, "")`, 200, "", ""},
		"table":        {`kong.response.exit(403, { message = "no" })`, 403, `{"message":"no"}`, "application/json; charset=utf-8"},
		"empty array":  {`kong.response.exit(200, require("cjson").empty_array)`, 200, `[]`, "application/json; charset=utf-8"},
		"headers":      {`kong.response.exit(200, "x", { ["X-A"] = { "1", "2" }, content_type = "text/plain" })`, 200, "x", "text/plain"},
		"json type":    {`kong.response.exit(200, {1}, { ["Content-Type"] = "text/plain" })`, 200, "[1]", "text/plain"},
		"bytes":        {`kong.response.exit(200, "\0\255")`, 200, "\x00\xff", ""},
	} {
		for _, phase := range []string{"rewrite", "access", "header_filter"} {
			t.Run(name+" in "+phase, func(t *testing.T) {
				answer, out := h.send(t, call{path: "/canned", code: map[string]string{
					phase: c.code + ` error("exit returned")`,
					"log": `return kong.response.get_source(), kong.response.get_status()`,
				}})
				if phase != "header_filter" { // where nginx has no way to leave a handler
					require.NotContains(t, out, phase)
				}
				require.Equal(t, c.status, answer.status)
				require.Equal(t, c.body, answer.body)
				if phase != "header_filter" || c.contentType != "" {
					require.Equal(t, c.contentType, answer.header.Get("Content-Type"))
				}
				require.Equal(t, []any{"exit", float64(c.status)}, out["log"].Values)
			})
		}
	}
}

func TestExitWithUnencodableBody(t *testing.T) {
	h := startProbe(t)
	answer, _ := h.send(t, call{path: "/canned", raw: true,
		code: map[string]string{"rewrite": `kong.response.exit(200, { print })`}})
	require.Equal(t, 500, answer.status)
	text, err := h.ErrorLog()
	require.NoError(t, err)
	require.Contains(t, text, "failed to encode body: Cannot serialise function")
}

func TestExitTakesNoSecondChance(t *testing.T) {
	h := startProbe(t)
	answer, _ := h.send(t, call{path: "/canned", code: map[string]string{
		"access": `pcall(kong.response.exit, 201, "first") kong.response.exit(202, "second")`}})
	require.Equal(t, 201, answer.status)
	require.Equal(t, "first", answer.body)
}

func TestErrorFollowsAccept(t *testing.T) {
	h := startProbe(t)
	for accept, want := range map[string]string{
		"":                                   "application/json; charset=utf-8",
		"*/*":                                "application/json; charset=utf-8",
		"image/png":                          "application/json; charset=utf-8",
		"text/html":                          "text/html; charset=utf-8",
		"text/plain;q=0.5, application/xml":  "application/xml; charset=utf-8",
		"application/json;q=0.1, text/*;q=1": "text/plain; charset=utf-8",
	} {
		answer, _ := h.send(t, call{path: "/canned", header: map[string][]string{"Accept": {accept}},
			code: map[string]string{"access": `kong.response.error(503, "a <b> \"c\"", { ["X-E"] = "e" })`}})
		require.Equal(t, 503, answer.status)
		require.Equal(t, want, answer.header.Get("Content-Type"), "Accept: %s", accept)
		require.Equal(t, "e", answer.header.Get("X-E"))
		text := `a <b> "c"`
		switch {
		case strings.Contains(want, "json"):
			var body map[string]string
			require.NoError(t, json.Unmarshal([]byte(answer.body), &body))
			require.Equal(t, text, body["message"])
			require.Len(t, body["request_id"], 32)
		case strings.Contains(want, "plain"):
			require.Contains(t, answer.body, text)
		default:
			require.Contains(t, answer.body, `a &lt;b&gt; "c"`)
		}
	}

	for code, want := range map[string]string{
		`kong.response.error(404)`:              `"message":"Not found"`,
		`kong.response.error(599)`:              `"message":"The upstream server responded with 599"`,
		`kong.response.error(400, { a = "b" })`: `"message":"{\"a\":\"b\"}"`,
	} {
		answer, out := h.send(t, call{path: "/canned", code: map[string]string{
			"access": code, "log": "return kong.response.get_source()"}})
		require.Contains(t, answer.body, want)
		require.Equal(t, []any{"exit"}, out["log"].Values)
	}

	answer, _ := h.send(t, call{path: "/canned", code: map[string]string{
		"rewrite": `kong.response.error(400, "m", { ["Content-Type"] = { "text/plain" } })`}})
	require.Equal(t, "text/plain", answer.header.Get("Content-Type"))
	require.Contains(t, answer.body, "m\nrequest_id: ")
}

func TestResponseSource(t *testing.T) {
	h := startProbe(t)
	for path, want := range map[string]string{"/proxy": "service", "/canned": "exit", "/none": "exit"} {
		require.Equal(t, []any{want}, h.eval(t, "log", call{path: path}, "return kong.response.get_source()"), path)
	}
	require.Equal(t, []any{"error", "exit", "service", "error"}, h.eval(t, "access", call{path: "/canned"}, `
		local s = kong.response.get_source
		return s({ KONG_UNEXPECTED = true }), s({ KONG_EXITED = true }), s({ KONG_PROXIED = true }), s({})`))
}

func TestServiceResponse(t *testing.T) {
	h := startProbe(t)
	code := `local r = kong.service.response
		return r.get_status(), r.get_header("x_service"), r.get_header("X-Twice"), r.get_header("X-Mine"),
			r.get_headers()["X-Twice"], r.get_headers().x_mine, (pcall(r.get_raw_body))`
	for _, phase := range []string{"header_filter", "body_filter", "log"} {
		_, out := h.send(t, call{path: "/proxy", header: map[string][]string{"X-Want-Status": {"207"}},
			code: map[string]string{"access": `kong.response.set_header("X-Mine", "m")`, phase: code}})
		require.Equal(t, []any{207.0, "one", "a", nil, []any{"a", "b"}, nil, false}, out[phase].Values, phase)
	}
	_, out := h.send(t, call{path: "/canned", code: map[string]string{"log": code}})
	require.Equal(t, []any{nil, nil, nil, nil, nil, nil, false}, out["log"].Values)
	require.Contains(t, h.fail(t, "log", call{path: "/proxy"}, `kong.service.response.get_raw_body()`),
		"service body is only available with buffered proxying")
}

func TestHeadAnswersWithoutBody(t *testing.T) {
	h := startProbe(t)
	answer, _ := h.send(t, call{method: http.MethodHead, path: "/canned"})
	require.Equal(t, 200, answer.status)
	require.Equal(t, "16", answer.header.Get("Content-Length"))
	require.Empty(t, answer.body)
}
