package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestGetters(t *testing.T) {
	h := startProbe(t)
	c := call{
		path: "/canned/a%20b?one=1&two=2&two=3&none&empty=",
		header: map[string][]string{
			"Host":         {"Example.TEST:8000"},
			"X-Twice":      {"a", "b, c"},
			"X_Under":      {"u"},
			"X-Comma":      {"p, q"},
			"Content-Type": {"text/plain"},
		},
	}
	_, port, _ := strings.Cut(h.Addr(), ":")

	for _, phase := range []string{"rewrite", "access", "header_filter", "body_filter", "log"} {
		t.Run(phase, func(t *testing.T) {
			for code, want := range map[string][]any{
				`kong.request.get_scheme()`:                                  {"http"},
				`kong.request.get_host()`:                                    {"example.test"},
				`tostring(kong.request.get_port())`:                          {port},
				`kong.request.get_http_version()`:                            {1.1},
				`kong.request.get_method()`:                                  {"GET"},
				`kong.request.get_path()`:                                    {"/canned/a b"},
				`kong.request.get_raw_path()`:                                {"/canned/a%20b"},
				`kong.request.get_path_with_query()`:                         {c.path},
				`kong.request.get_raw_query()`:                               {"one=1&two=2&two=3&none&empty="},
				`kong.request.get_query_arg("one")`:                          {"1"},
				`kong.request.get_query_arg("two")`:                          {"2"},
				`kong.request.get_query_arg("none")`:                         {true},
				`kong.request.get_query_arg("empty")`:                        {""},
				`kong.request.get_query_arg("absent")`:                       {nil},
				`kong.request.get_query()`:                                   {map[string]any{"one": "1", "two": []any{"2", "3"}, "none": true, "empty": ""}},
				`kong.request.get_query(1)`:                                  {map[string]any{"one": "1"}, "truncated"},
				`kong.request.get_header("x-twice")`:                         {"a"},
				`kong.request.get_header("X_TWICE")`:                         {"a"},
				`kong.request.get_header("x-under")`:                         {"u"},
				`kong.request.get_header("X-Comma")`:                         {"p, q"},
				`kong.request.get_header("Absent")`:                          {nil},
				`kong.request.get_header("")`:                                {nil},
				`kong.request.get_headers()["x-twice"]`:                      {[]any{"a", "b, c"}},
				`kong.request.get_headers().X_Comma`:                         {"p, q"},
				`kong.request.get_headers()["x_under"]`:                      {"u"},
				`next((kong.request.get_headers(1))) ~= nil`:                 {true},
				`select(2, kong.request.get_headers(1))`:                     {"truncated"},
				`kong.request.get_start_time() == ngx.req.start_time()*1000`: {true},
				`kong.request.get_uri_captures()`:                            {map[string]any{"named": map[string]any{}, "unnamed": []any{}}},
				`kong.request.get_uri_captures({router_matches={uri_captures={"x",n="y"}}})`: {
					map[string]any{"named": map[string]any{"n": "y"}, "unnamed": []any{"x"}}},
			} {
				require.Equal(t, want, h.eval(t, phase, c, "return "+code), code)
			}
		})
	}
}

func TestRequestArgumentErrors(t *testing.T) {
	h := startProbe(t)
	for code, want := range map[string]string{
		`kong.request.get_header(1)`:           "header name must be a string",
		`kong.request.get_header()`:            "header name must be a string",
		`kong.request.get_query_arg(1)`:        "query argument name must be a string",
		`kong.request.get_query("1")`:          "max_args must be a number",
		`kong.request.get_query(0)`:            "max_args must be >= 1",
		`kong.request.get_query(1001)`:         "max_args must be <= 1000",
		`kong.request.get_headers("1")`:        "max_headers must be a number",
		`kong.request.get_headers(0)`:          "max_headers must be >= 1",
		`kong.request.get_headers(1001)`:       "max_headers must be <= 1000",
		`kong.response.get_headers("1")`:       "max_headers must be a number",
		`kong.response.get_headers(0)`:         "max_headers must be >= 1",
		`kong.response.get_headers(1001)`:      "max_headers must be <= 1000",
		`kong.response.get_header(1)`:          "header name must be a string",
		`kong.service.response.get_headers(0)`: "max_headers must be >= 1",
		`kong.service.response.get_header(1)`:  "name must be a string",
	} {
		// The line is the caller's, not the host's.
		require.Equal(t, "probe:1: "+want, h.fail(t, "log", call{path: "/canned"}, code), code)
	}
}

func TestRequestLimitsDefaultToHundred(t *testing.T) {
	h := startProbe(t)
	header := map[string][]string{}
	var query []string
	for i := range 120 {
		header[fmt.Sprintf("X-H%d", i)] = []string{"v"}
		query = append(query, fmt.Sprintf("q%d=v", i))
	}
	c := call{path: "/canned?" + strings.Join(query, "&"), header: header}
	count := `local function count(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end `

	require.Equal(t, []any{100.0, 100.0, 100.0, 120.0},
		h.eval(t, "access", c, count+`return count(kong.request.get_headers()), count(kong.request.get_headers(100)),
			count(kong.request.get_query()), count(kong.request.get_query(1000))`))
	require.Equal(t, []any{true, "truncated"},
		h.eval(t, "access", c, count+`local t, err = kong.request.get_headers()
			return count(kong.request.get_headers(1000)) > 120, err`))
}

func TestRequestPathIsNormalised(t *testing.T) {
	h := startProbe(t)
	for path, want := range map[string]string{
		"/":                     "/",
		"/a":                    "/a",
		"/a/":                   "/a/",
		"/a//b///c":             "/a/b/c",
		"//":                    "/",
		"/a/./b":                "/a/b",
		"/a/../b":               "/b",
		"/a/b/..":               "/a/",
		"/a/b/.":                "/a/b/",
		"/../a":                 "/a",
		"/..":                   "/",
		"/a/..b/.c/d..":         "/a/..b/.c/d..",
		"/%41%7e%c3%b8":         "/A~\u00f8",
		"/a%2fb%3f%23%25":       "/a%2Fb%3F%23%25",
		"/a%2Fb/%2e%2e/c":       "/c",
		"/t/Abc%20123/x/..//y/": "/t/Abc 123/y/",
		"/100%/a%2":             "/100%/a%2",
	} {
		c := call{path: "/canned"}
		got := h.eval(t, "access", c, `return require("kong_host.uri").normalize([==[`+path+`]==])`)
		require.Equal(t, []any{want}, got, path)
	}
}

func TestForwardedRequest(t *testing.T) {
	h := startProbe(t)
	code := `return kong.request.get_forwarded_scheme(), kong.request.get_forwarded_host(),
		tostring(kong.request.get_forwarded_port()), kong.request.get_forwarded_path(),
		kong.request.get_forwarded_prefix()`
	_, port, _ := strings.Cut(h.Addr(), ":")

	plain := call{path: "/proxy/x?a", header: map[string][]string{"Host": {"a.test"}}}
	require.Equal(t, []any{"http", "a.test", port, "/proxy/x", "/proxy"}, h.eval(t, "access", plain, code))
	require.Equal(t, []any{"http", "a.test", port, "/proxy/x", nil}, h.eval(t, "rewrite", plain, code))

	forwarded := call{path: "/proxy/x?a", header: map[string][]string{
		"X-Forwarded-Proto":  {"HTTPS"},
		"X-Forwarded-Host":   {"user@B.test:8443"},
		"X-Forwarded-Path":   {"/path"},
		"X-Forwarded-Prefix": {"/prefix"},
	}}
	require.Equal(t, []any{"https", "b.test", "8443", "/path", "/prefix"}, h.eval(t, "access", forwarded, code))
	forwarded.header["X-Forwarded-Port"] = []string{"99"}
	require.Equal(t, "99", h.eval(t, "access", forwarded, code)[2])
	forwarded.header["X-Forwarded-Port"] = []string{"99999"}
	require.Equal(t, "8443", h.eval(t, "access", forwarded, code)[2])

	untrusted := `kong.ip.is_trusted = function() return false end local r = {(function() ` + code + ` end)()}
		kong.ip.is_trusted = nil kong.ip.is_trusted = require("kong_host.cidr").matcher({"127.0.0.1"}) return unpack(r, 1, 5)`
	require.Equal(t, []any{"http", strings.Split(h.Addr(), ":")[0], port, "/proxy/x", "/proxy"},
		h.eval(t, "access", forwarded, untrusted))
}

func TestRawBody(t *testing.T) {
	h := startProbe(t)
	small := strings.Repeat("s", 8*1024)
	large := strings.Repeat("0123456789", 100_000)
	code := `local body, err = kong.request.get_raw_body(%s) return body and #body, err`
	post := func(body string) call { return call{method: "POST", path: "/canned", body: body} }

	for _, phase := range []string{"rewrite", "access"} {
		require.Equal(t, []any{0.0, nil}, h.eval(t, phase, call{path: "/canned"}, fmt.Sprintf(code, "")))
		require.Equal(t, []any{float64(len(small)), nil}, h.eval(t, phase, post(small), fmt.Sprintf(code, "")))
		for _, max := range []string{"", "nil", "-1"} {
			require.Equal(t, []any{nil, "request body did not fit into client body buffer, " +
				"consider raising 'client_body_buffer_size'"}, h.eval(t, phase, post(large), fmt.Sprintf(code, max)))
		}
		for _, max := range []string{"0", "1000000"} {
			require.Equal(t, []any{1e6, nil}, h.eval(t, phase, post(large), fmt.Sprintf(code, max)))
		}
		require.Equal(t, []any{nil, "request body file too big: 1000000 > 999999"},
			h.eval(t, phase, post(large), fmt.Sprintf(code, "999999")))
	}

	require.Equal(t, []any{true}, h.eval(t, "access", post(large),
		`local body = kong.request.get_raw_body(0) return body == ("0123456789"):rep(100000)`))
	require.Equal(t, []any{true}, h.eval(t, "access", post(large), `kong.request.get_raw_body()
		local file = io.open(ngx.req.get_body_file()) return file:read("*a") == ("0123456789"):rep(100000)`))
	require.Equal(t, []any{"\x00a\n"}, h.eval(t, "access", post("\x00a\n"), `return kong.request.get_raw_body()`))
}
