package conform

import (
	"time"

	"github.com/kongring/kongring/server/pdk"
)

var serviceCases = []testCase{
	set("Service.SetUpstream", func(k *pdk.PDK) error { return k.Service.SetUpstream("other") },
		lua("kong.service.set_upstream", "other")),
	set("Service.SetUpstream", func(k *pdk.PDK) error { return k.Service.SetUpstream("none") },
		lua("kong.service.set_upstream", "none")),
	set("Service.SetTarget", func(k *pdk.PDK) error { return k.Service.SetTarget("127.0.0.1", 1) },
		lua("kong.service.set_target", "127.0.0.1", 1)),
	set("Service.SetRetries", func(k *pdk.PDK) error { return k.Service.SetRetries(1) }, lua("kong.service.set_retries", 1)),
	set("Service.SetTimeouts", func(k *pdk.PDK) error { return k.Service.SetTimeouts(time.Second, 2*time.Second, 30*time.Second) },
		lua("kong.service.set_timeouts", 1000, 2000, 30000)),
	set("Service.SetTlsVerify", func(k *pdk.PDK) error { return k.Service.SetTlsVerify(false) },
		lua("kong.service.set_tls_verify", false)),
	set("Service.SetTlsVerifyDepth", func(k *pdk.PDK) error { return k.Service.SetTlsVerifyDepth(2) },
		lua("kong.service.set_tls_verify_depth", 2)),
}

var serviceRequestCases = []testCase{
	set("ServiceRequest.SetScheme", func(k *pdk.PDK) error { return k.ServiceRequest.SetScheme("http") },
		lua("kong.service.request.set_scheme", "http")),
	set("ServiceRequest.SetPath", func(k *pdk.PDK) error { return k.ServiceRequest.SetPath("/p q") },
		lua("kong.service.request.set_path", "/p q")),
	get("ServiceRequest.SetRawQuery", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetRawQuery("z=%20&y"); err != nil {
			return "", err
		}
		return k.Request.GetRawQuery()
	}, lua("kong.service.request.set_raw_query", "z=%20&y"), lua("kong.request.get_raw_query")),
	get("ServiceRequest.SetQuery", func(k *pdk.PDK) (headers, error) {
		if err := k.ServiceRequest.SetQuery(headers{"b": {"1", "2"}, "a": {"x y"}}); err != nil {
			return nil, err
		}
		return k.Request.GetQuery(-1)
	}, lua("kong.service.request.set_query", table{"b": array{"1", "2"}, "a": "x y"}), lua("kong.request.get_query", 100)),
	get("ServiceRequest.ClearQueryArg", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.ClearQueryArg("a"); err != nil {
			return "", err
		}
		return k.Request.GetRawQuery()
	}, lua("kong.service.request.clear_query_arg", "a"), lua("kong.request.get_raw_query")),
	get("ServiceRequest.SetMethod", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetMethod("PUT"); err != nil {
			return "", err
		}
		return k.Request.GetMethod()
	}, lua("kong.service.request.set_method", "PUT"), lua("kong.request.get_method")),
	get("ServiceRequest.SetHeader", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetHeader("x-twice", "3"); err != nil {
			return "", err
		}
		return k.Request.GetHeader("x-twice")
	}, lua("kong.service.request.set_header", "x-twice", "3"), lua("kong.request.get_header", "x-twice")),
	get("ServiceRequest.SetHeader", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetHeader("Host", "h.test"); err != nil {
			return "", err
		}
		return k.Request.GetHost()
	}, lua("kong.service.request.set_header", "Host", "h.test"), lua("kong.request.get_host")),
	set("ServiceRequest.SetHeaderValues", func(k *pdk.PDK) error { return k.ServiceRequest.SetHeaderValues("x-set", "1", "2") },
		lua("kong.service.request.set_header", "x-set", array{"1", "2"})),
	get("ServiceRequest.AddHeader", func(k *pdk.PDK) (headers, error) {
		if err := k.ServiceRequest.AddHeader("x-twice", "3"); err != nil {
			return nil, err
		}
		return k.Request.GetHeaders(-1)
	}, lua("kong.service.request.add_header", "x-twice", "3"), lua("kong.request.get_headers", 100)),
	set("ServiceRequest.AddHeaderValues", func(k *pdk.PDK) error { return k.ServiceRequest.AddHeaderValues("x-set", "1", "2") },
		lua("kong.service.request.add_header", "x-set", "1"), lua("kong.service.request.add_header", "x-set", "2")),
	set("ServiceRequest.ClearHeader", func(k *pdk.PDK) error { return k.ServiceRequest.ClearHeader("X-Twice") },
		lua("kong.service.request.clear_header", "X-Twice")),
	set("ServiceRequest.SetHeaders", func(k *pdk.PDK) error {
		return k.ServiceRequest.SetHeaders(headers{"x-a": {"1", "2"}, "x-twice": {}})
	}, lua("kong.service.request.set_headers", table{"x-a": array{"1", "2"}, "x-twice": array{}})),
	get("ServiceRequest.SetRawBody", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetRawBody("new body"); err != nil {
			return "", err
		}
		return text(k.Request.GetRawBody())
	}, lua("kong.service.request.set_raw_body", "new body"), lua("kong.request.get_raw_body")),
	get("ServiceRequest.SetBody", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetBody(table{"a": array{1, true}}, "application/json"); err != nil {
			return "", err
		}
		return text(k.Request.GetRawBody())
	}, lua("kong.service.request.set_body", table{"a": array{1, true}}, "application/json"), lua("kong.request.get_raw_body")),
	set("ServiceRequest.SetBody", func(k *pdk.PDK) error { return k.ServiceRequest.SetBody(table{"a": "b"}, "text/plain") },
		lua("kong.service.request.set_body", table{"a": "b"}, "text/plain")).raising("unsupported content type text/plain"),
	set("ServiceRequest.EnableBuffering", func(k *pdk.PDK) error { return k.ServiceRequest.EnableBuffering() },
		lua("kong.service.request.enable_buffering")),
}

var serviceResponseCases = []testCase{
	get("ServiceResponse.GetStatus", func(k *pdk.PDK) (int, error) { return k.ServiceResponse.GetStatus() },
		lua("kong.service.response.get_status")),
	get("ServiceResponse.GetHeader", func(k *pdk.PDK) (string, error) { return k.ServiceResponse.GetHeader("X_Upstream_Path") },
		lua("kong.service.response.get_header", "X_Upstream_Path")),
	get("ServiceResponse.GetHeaders", func(k *pdk.PDK) (headers, error) { return k.ServiceResponse.GetHeaders(-1) },
		lua("kong.service.response.get_headers", 100)),
	get("ServiceResponse.GetRawBody", func(k *pdk.PDK) (string, error) { return text(k.ServiceResponse.GetRawBody()) },
		lua("kong.service.response.get_raw_body")),
	get("ServiceResponse.GetBody", func(k *pdk.PDK) (array, error) {
		return parsed(k.ServiceResponse.GetBody("application/x-www-form-urlencoded", 0))
	}, lua("kong.service.response.get_body", "application/x-www-form-urlencoded")),
	get("ServiceResponse.GetBody", func(k *pdk.PDK) (array, error) { return parsed(k.ServiceResponse.GetBody("", 0)) },
		lua("kong.service.response.get_body")),
}
