package host

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrongFileStopsStart(t *testing.T) {
	requireNginx(t)
	broken := t.TempDir()
	plugin := filepath.Join(broken, "kong", "plugins", "broken-syntax")
	require.NoError(t, os.MkdirAll(plugin, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(plugin, "handler.lua"), []byte("return {"), 0o644))

	for name, c := range map[string]struct{ config, want string }{
		"not JSON":            {`{"routes": [}`, "Expected value but found T_OBJ_END at character 13"},
		"empty array before":  {`{"plugins": [], "routes": [}`, "at character 28"},
		"array":               {`[]`, "expected object, got []"},
		"unknown key":         {`{"route": []}`, `route: unknown key, its value is []`},
		"unknown nested key":  {`{"routes": [{"name": "a"}, {"name": "b", "path": "/"}]}`, `routes[2].path: unknown key, its value is "\/"`},
		"object for array":    {`{"routes": {}}`, "routes: expected array, got {}"},
		"array for object":    {`{"routes": [[]]}`, "routes[1]: expected object, got []"},
		"number for string":   {`{"routes": [{"name": 7}]}`, "routes[1].name: expected string, got 7"},
		"string for boolean":  {`{"routes": [{"name": "a", "strip_path": "no"}]}`, `routes[1].strip_path: expected boolean, got "no"`},
		"missing name":        {`{"routes": [{"paths": []}]}`, "routes[1].name: required, but missing in"},
		"null is missing":     {`{"services": [{"name": null, "url": "http://127.0.0.1"}]}`, "services[1].name: required, but missing in"},
		"empty name":          {`{"plugins": [""]}`, `plugins[1]: expected a name, got ""`},
		"relative path":       {`{"routes": [{"name": "a", "paths": ["/a", "b"]}]}`, `routes[1].paths[2]: expected a path that starts with /, got "b"`},
		"method":              {`{"routes": [{"name": "a", "methods": ["get"]}]}`, `routes[1].methods[1]: expected a method in upper case, got "get"`},
		"protocol":            {`{"routes": [{"name": "a", "protocols": ["tcp"]}]}`, `routes[1].protocols[1]: expected one of http, https, got "tcp"`},
		"status":              {`{"routes": [{"name": "a", "respond": {"status": 700}}]}`, "routes[1].respond.status: expected 200 to 599, got 700"},
		"fraction":            {`{"routes": [{"name": "a", "respond": {"status": 200.5}}]}`, "routes[1].respond.status: expected integer, got 200.5"},
		"both answers":        {`{"services": [{"name": "s", "url": "http://127.0.0.1"}], "routes": [{"name": "a", "service": "s", "respond": {}}]}`, "routes[1]: service and respond exclude each other"},
		"unknown service":     {`{"routes": [{"name": "a", "service": "s"}]}`, `routes[1].service: expected the name of a service, got "s"`},
		"route twice":         {`{"routes": [{"name": "a"}, {"name": "a"}]}`, `routes[2].name: in use already, got "a"`},
		"id twice":            {`{"consumers": [{"id": "c0000000-0000-4000-8000-000000000001"}, {"id": "c0000000-0000-4000-8000-000000000001"}]}`, "consumers[2].id: in use already"},
		"id":                  {`{"routes": [{"name": "a", "id": "7"}]}`, `routes[1].id: expected a UUID, got "7"`},
		"consumer":            {`{"consumers": [{"tags": []}]}`, "consumers[1]: expected one of id, username, custom_id"},
		"url scheme":          {`{"services": [{"name": "s", "url": "ftp://a"}]}`, `services[1].url: expected http[s]://host[:port][/path]`},
		"url host":            {`{"services": [{"name": "s", "url": "http://a:b:c/"}]}`, `services[1].url: expected host[:port], got "a:b:c"`},
		"url port":            {`{"services": [{"name": "s", "url": "http://127.0.0.1:70000"}]}`, `services[1].url: expected host[:port], got "127.0.0.1:70000"`},
		"unresolvable":        {`{"services": [{"name": "s", "url": "http://host.invalid"}]}`, "services[1].url: failed to resolve host.invalid"},
		"upstream target":     {`{"upstreams": [{"name": "u", "target": "a"}]}`, `upstreams[1].target: expected host:port, got "a"`},
		"upstream port":       {`{"upstreams": [{"name": "u", "target": "a:70000"}]}`, `upstreams[1].target: expected host:port, got "a:70000"`},
		"trusted ip":          {`{"trusted_ips": ["10.0.0.0/8", "10.0.0.0/33"]}`, `trusted_ips[2]: expected an IP address or CIDR block, got "10.0.0.0\/33"`},
		"plugin not enabled":  {`{"plugins": ["first"], "routes": [{"name": "a"}, {"name": "b", "plugins": [{"name": "second"}]}]}`, `routes[2].plugins[1].name: expected an enabled plugin, got "second"`},
		"plugin of service":   {`{"services": [{"name": "s", "url": "http://127.0.0.1", "plugins": [{"name": "second"}]}]}`, `services[1].plugins[1].name: expected an enabled plugin, got "second"`},
		"global plugin":       {`{"global_plugins": [{"name": "second"}]}`, `global_plugins[1].name: expected an enabled plugin, got "second"`},
		"plugin twice":        {`{"plugins": ["first"], "global_plugins": [{"name": "first"}, {"name": "first"}]}`, `global_plugins[2].name: configured already, got "first"`},
		"plugin config":       {`{"plugins": ["first"], "global_plugins": [{"name": "first", "config": []}]}`, `global_plugins[1].config: expected object, got []`},
		"enabled twice":       {`{"plugins": ["first", "first"]}`, `plugins[2]: enabled already, got "first"`},
		"no such plugin":      {`{"plugins": ["nonesuch"]}`, "plugins[1]: failed to load kong.plugins.nonesuch.handler: module 'kong.plugins.nonesuch.handler' not found"},
		"plugin with error":   {`{"plugins": ["broken-syntax"]}`, "plugins[1]: failed to load kong.plugins.broken-syntax.handler: error loading module"},
		"plugin is no table":  {`{"plugins": ["not-a-table"]}`, "plugins[1]: kong.plugins.not-a-table.handler: expected a table, got boolean"},
		"plugin priority":     {`{"plugins": ["no-priority"]}`, "plugins[1]: kong.plugins.no-priority.handler: expected an integer PRIORITY, got nil"},
		"plugin version":      {`{"plugins": ["bad-version"]}`, "plugins[1]: kong.plugins.bad-version.handler: expected a VERSION like 1.2.3, got 1.2.3.4"},
		"plugin phases":       {`{"plugins": ["both-phases"]}`, "plugins[1]: kong.plugins.both-phases.handler: expected either response, or header_filter and body_filter, got both"},
		"long value is short": {`{"x": "` + longText + `"}`, `x: unknown key, its value is "aaaaaaaaaaaaaaa`},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, c.config)
			o.LuaPath = append(o.LuaPath, broken)
			_, err := Start(context.Background(), o)
			require.ErrorIs(t, err, ErrExited)
			require.ErrorContains(t, err, "failed to load configuration: "+o.Config+": ")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), longText)
		})
	}
}

const longText = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestMissingFileStopsStart(t *testing.T) {
	requireNginx(t)
	o := testOptions(t, "{}")
	o.Config = "/no/such/kong.json"
	_, err := Start(context.Background(), o)
	require.ErrorContains(t, err, "failed to load configuration: /no/such/kong.json: No such file or directory")
}

func TestEmptyFileHasNoRoutes(t *testing.T) {
	h := startHost(t, testOptions(t, "{}"))
	require.Equal(t, 404, get(t, newClient(t), h.URL()).status)
}

func TestPluginConfiguration(t *testing.T) {
	h := startProbe(t)
	values := h.eval(t, "access", call{path: "/canned"}, `
		local conf = ...
		local id = kong.plugin.get_id()
		local text = require("cjson").encode(conf)
		local safe = require("cjson.safe")
		return conf, id, text:match('"nested":({.-})'), text:match('"map":(..)'),
		       text:match('"null":(%a+)'), safe.encode(conf) == text, (safe.encode(print))`)

	conf := values[0].(map[string]any)
	require.Equal(t, values[1], conf["__plugin_id"])
	require.Regexp(t, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", conf["__plugin_id"])
	require.Regexp(t, "^plugins:probe:.*"+conf["__ws_id"].(string)+"$", conf["__key__"])
	require.Greater(t, conf["__seq__"], 0.0)
	require.NotContains(t, conf, "route_id")
	require.NotContains(t, conf, "service_id")
	require.Equal(t, []any{}, conf["list"])
	require.Equal(t, map[string]any{}, conf["map"])
	require.Contains(t, conf, "null")
	require.Equal(t, []any{`{"list":[[]]}`, "{}", "null", true, nil}, values[2:])
}

func TestScopeIDsAreInConfiguration(t *testing.T) {
	echo := startEcho(t)
	o := testOptions(t, `{
		"plugins": ["probe"],
		"services": [{"name": "s", "url": "`+echo.URL+`", "id": "50000000-0000-4000-8000-000000000001",
			"plugins": [{"name": "probe", "instance_name": "mine"}]}],
		"routes": [
			{"name": "a", "paths": ["/a"], "service": "s", "id": "a0000000-0000-4000-8000-000000000001",
				"plugins": [{"name": "probe", "id": "b0000000-0000-4000-8000-000000000001"}]},
			{"name": "b", "paths": ["/b"], "service": "s"},
			{"name": "c", "paths": ["/c"]}],
		"global_plugins": [{"name": "probe"}]}`)
	h := &probeHost{Host: startHost(t, o), client: newClient(t)}
	code := "local c = ... return c.route_id, c.service_id, c.plugin_instance_name, c.__plugin_id"

	require.Equal(t, []any{"a0000000-0000-4000-8000-000000000001", nil, nil, "b0000000-0000-4000-8000-000000000001"},
		h.eval(t, "access", call{path: "/a"}, code))
	service := h.eval(t, "access", call{path: "/b"}, code)
	require.Equal(t, []any{nil, "50000000-0000-4000-8000-000000000001", "mine"}, service[:3])
	global := h.eval(t, "access", call{path: "/c"}, code)
	require.Equal(t, []any{nil, nil, nil}, global[:3])
	require.NotEqual(t, service[3], global[3])
}

func TestDerivedIDsAreStable(t *testing.T) {
	first, second := startProbe(t), startProbe(t)
	code := "return kong.router.get_route().id, kong.router.get_service().id, (...).__plugin_id"
	c := call{path: "/proxy"}
	require.Equal(t, first.eval(t, "access", c, code), second.eval(t, "access", c, code))
}
