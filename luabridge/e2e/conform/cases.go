package conform

import (
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/request"
)

type (
	table   = map[string]interface{}
	array   = []interface{}
	headers = map[string][]string
)

// text is for results that JSON would write in base64.
func text(b []byte, err error) (string, error) { return string(b), err }

func parsed(body interface{}, mimetype string, err error) (array, error) {
	return array{body, mimetype}, err
}

// cases are the questions, by package of the PDK.
var cases = concat(requestCases, responseCases, serviceCases, serviceRequestCases, serviceResponseCases,
	clientCases, contextCases, logCases, otherCases)

func concat(lists ...[]testCase) (all []testCase) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

var requestCases = []testCase{
	get("Request.GetScheme", func(k *pdk.PDK) (string, error) { return k.Request.GetScheme() }, lua("kong.request.get_scheme")),
	get("Request.GetHost", func(k *pdk.PDK) (string, error) { return k.Request.GetHost() }, lua("kong.request.get_host")),
	get("Request.GetPort", func(k *pdk.PDK) (int, error) { return k.Request.GetPort() }, lua("kong.request.get_port")),
	get("Request.GetForwardedScheme", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedScheme() },
		lua("kong.request.get_forwarded_scheme")),
	get("Request.GetForwardedHost", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedHost() },
		lua("kong.request.get_forwarded_host")),
	get("Request.GetForwardedPort", func(k *pdk.PDK) (int, error) { return k.Request.GetForwardedPort() },
		lua("kong.request.get_forwarded_port")),
	get("Request.GetForwardedPath", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedPath() },
		lua("kong.request.get_forwarded_path")),
	get("Request.GetForwardedPrefix", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedPrefix() },
		lua("kong.request.get_forwarded_prefix")),
	get("Request.GetHttpVersion", func(k *pdk.PDK) (float64, error) { return k.Request.GetHttpVersion() },
		lua("kong.request.get_http_version")),
	get("Request.GetMethod", func(k *pdk.PDK) (string, error) { return k.Request.GetMethod() }, lua("kong.request.get_method")),
	get("Request.GetPath", func(k *pdk.PDK) (string, error) { return k.Request.GetPath() }, lua("kong.request.get_path")),
	get("Request.GetRawPath", func(k *pdk.PDK) (string, error) { return k.Request.GetRawPath() }, lua("kong.request.get_raw_path")),
	get("Request.GetPathWithQuery", func(k *pdk.PDK) (string, error) { return k.Request.GetPathWithQuery() },
		lua("kong.request.get_path_with_query")),
	get("Request.GetRawQuery", func(k *pdk.PDK) (string, error) { return k.Request.GetRawQuery() }, lua("kong.request.get_raw_query")),
	get("Request.GetQueryArg", func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("a") },
		lua("kong.request.get_query_arg", "a")),
	get("Request.GetQueryArg", func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("flag") },
		lua("kong.request.get_query_arg", "flag")),
	get("Request.GetQueryArg", func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("none") },
		lua("kong.request.get_query_arg", "none")),
	get("Request.GetQuery", func(k *pdk.PDK) (headers, error) { return k.Request.GetQuery(-1) }, lua("kong.request.get_query", 100)),
	get("Request.GetQuery", func(k *pdk.PDK) (headers, error) { return k.Request.GetQuery(1) }, lua("kong.request.get_query", 1)),
	get("Request.GetHeader", func(k *pdk.PDK) (string, error) { return k.Request.GetHeader("X_Twice") },
		lua("kong.request.get_header", "X_Twice")),
	get("Request.GetHeader", func(k *pdk.PDK) (string, error) { return k.Request.GetHeader("x-none") },
		lua("kong.request.get_header", "x-none")),
	get("Request.GetHeaders", func(k *pdk.PDK) (headers, error) { return k.Request.GetHeaders(-1) },
		lua("kong.request.get_headers", 100)),
	get("Request.GetRawBody", func(k *pdk.PDK) (string, error) { return text(k.Request.GetRawBody()) },
		lua("kong.request.get_raw_body")),
	get("Request.GetRawBodyUpTo", func(k *pdk.PDK) (string, error) { return text(k.Request.GetRawBodyUpTo(10)) },
		lua("kong.request.get_raw_body", 10)),
	get("Request.GetBody", func(k *pdk.PDK) (array, error) { return parsed(k.Request.GetBody(request.BodyOptions{})) },
		lua("kong.request.get_body")),
	get("Request.GetBody", func(k *pdk.PDK) (array, error) { return parsed(k.Request.GetBody(request.BodyOptions{MaxArgs: 1})) },
		lua("kong.request.get_body", nil, 1)),
	get("Request.GetBody", func(k *pdk.PDK) (array, error) {
		return parsed(k.Request.GetBody(request.BodyOptions{MimeType: "application/json"}))
	}, lua("kong.request.get_body", "application/json")),
	get("Request.GetUriCaptures", func(k *pdk.PDK) (array, error) {
		unnamed, named, err := k.Request.GetUriCaptures()
		list, byName := array{}, table{}
		for _, b := range unnamed {
			list = append(list, string(b))
		}
		for name, b := range named {
			byName[name] = string(b)
		}
		return array{list, byName}, err
	}, lua("kong.request.get_uri_captures")),
	get("Request.GetStartTime", func(k *pdk.PDK) (int, error) { return k.Request.GetStartTime() },
		lua("kong.request.get_start_time")).varying(),
}

var responseCases = []testCase{
	get("Response.GetStatus", func(k *pdk.PDK) (int, error) { return k.Response.GetStatus() }, lua("kong.response.get_status")),
	get("Response.GetHeader", func(k *pdk.PDK) (string, error) { return k.Response.GetHeader("X_Upstream_Path") },
		lua("kong.response.get_header", "X_Upstream_Path")),
	get("Response.GetHeaders", func(k *pdk.PDK) (headers, error) { return k.Response.GetHeaders(-1) },
		lua("kong.response.get_headers", 100)),
	get("Response.GetSource", func(k *pdk.PDK) (string, error) { return k.Response.GetSource() }, lua("kong.response.get_source")),
	set("Response.SetStatus", func(k *pdk.PDK) error { return k.Response.SetStatus(202) }, lua("kong.response.set_status", 202)),
	set("Response.SetHeader", func(k *pdk.PDK) error { return k.Response.SetHeader("x-set", "1") },
		lua("kong.response.set_header", "x-set", "1")),
	set("Response.SetHeader", func(k *pdk.PDK) error { return k.Response.SetHeader("x-empty", "") },
		lua("kong.response.set_header", "x-empty", "")),
	set("Response.SetHeaderValues", func(k *pdk.PDK) error { return k.Response.SetHeaderValues("x-set", "1", "2") },
		lua("kong.response.set_header", "x-set", array{"1", "2"})),
	set("Response.AddHeader", func(k *pdk.PDK) error { return k.Response.AddHeader("x-upstream-path", "2") },
		lua("kong.response.add_header", "x-upstream-path", "2")),
	set("Response.AddHeaderValues", func(k *pdk.PDK) error { return k.Response.AddHeaderValues("x-set", "1", "2") },
		lua("kong.response.add_header", "x-set", array{"1", "2"})),
	set("Response.ClearHeader", func(k *pdk.PDK) error { return k.Response.ClearHeader("x-upstream-path") },
		lua("kong.response.clear_header", "x-upstream-path")),
	set("Response.SetHeaders", func(k *pdk.PDK) error {
		return k.Response.SetHeaders(headers{"x-a": {"1"}, "x-b": {"2", "3"}, "x-upstream-path": {}})
	}, lua("kong.response.set_headers", table{"x-a": array{"1"}, "x-b": array{"2", "3"}, "x-upstream-path": array{}})),
	set("Response.Exit", func(k *pdk.PDK) error {
		k.Response.Exit(418, []byte("short"), headers{"x-exit": {"yes"}})
		return nil
	}, lua("kong.response.exit", 418, "short", table{"x-exit": "yes"})),
	set("Response.ExitStatus", func(k *pdk.PDK) error { k.Response.ExitStatus(410); return nil }, lua("kong.response.exit", 410)),
	set("Response.Error", func(k *pdk.PDK) error { k.Response.Error(503, "later", headers{"retry-after": {"9"}}); return nil },
		lua("kong.response.error", 503, "later", table{"retry-after": "9"})),
	set("Response.Error", func(k *pdk.PDK) error { k.Response.Error(404, "", nil); return nil }, lua("kong.response.error", 404)),
}
