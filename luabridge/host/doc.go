// Package host runs Kong plugins without Kong: a plain nginx with ngx_lua, as
// Debian packages it, and a small implementation of the parts of kong.* that
// a plugin needs. It loads the same kong/plugins/<name>/handler.lua modules as
// a real Kong does. The demo, the tests, CI and the benchmarks use it. It runs
// on Linux only.
//
//	h, err := host.Start(ctx, host.Options{
//		Prefix:  dir,
//		Config:  "kong.json",
//		LuaPath: []string{"lua"},
//	})
//	...
//	defer h.Stop(ctx)
//	http.Get(h.URL() + "/hello")
//
// # The declarative file
//
// One JSON object, whose keys are all optional:
//
//	{
//	  "trusted_ips": ["127.0.0.0/8"],
//	  "consumers": [{"id": "<uuid>", "username": "u", "custom_id": "c"}],
//	  "plugins": ["hello", "gate"],
//	  "upstreams": [{"name": "u", "target": "127.0.0.1:9001"}],
//	  "services": [{"name": "s", "url": "http://127.0.0.1:9000/base", "plugins": []}],
//	  "routes": [{
//	    "name": "r", "paths": ["/hello"], "methods": ["GET"], "hosts": ["a.test"],
//	    "strip_path": true, "preserve_host": false, "protocols": ["http", "https"],
//	    "service": "s",
//	    "plugins": [{"name": "hello", "config": {}}]
//	  }, {
//	    "name": "canned",
//	    "respond": {"status": 200, "body": "ok", "content_type": "text/plain"}
//	  }],
//	  "global_plugins": [{"name": "gate", "config": {}}]
//	}
//
// "plugins" names the plugins that may be configured; each is loaded from
// kong.plugins.<name>.handler. A route with neither service nor respond
// answers 200 with a line of JSON, from Lua and without any upstream. Every
// entity takes an id and, but for plugins, tags; an id that is absent is
// derived from the name and so the same in every run. What is wrong with the
// file stops nginx from starting, with an error that names the file, the key
// path (positions count from 1) and the value; an unknown key is an error.
//
// # What of Kong it reproduces
//
// Kong 3.9 is the model. Plugins run in certificate and rewrite (global ones),
// access, response, header_filter, body_filter and log, in order of PRIORITY,
// each with the configuration of the narrowest scope: route, service, global. In
// access each has its own coroutine, and kong.response.exit leaves it for
// good. A configuration is checked and completed by the plugin's schema, if it has
// one, with the attributes that plugin_config.lua knows. init_worker and configure are called when a worker starts. The
// configuration has Kong's bookkeeping keys (__plugin_id, __key__, __seq__,
// ...). The kong.* functions check phases and arguments as Kong's do, and
// additionally name themselves when the phase is wrong. The modules below
// lua/kong_host/pdk list them: request, response, service, client, log, ctx,
// ip, nginx, node, plugin, router, cluster and vault (environment variables).
//
// Debian's lua-cjson writes empty arrays as {}. The host replaces its encode,
// before plugins are loaded, so that arrays of the configuration stay arrays,
// and adds array_mt, empty_array_mt and empty_array, as OpenResty's has them.
//
// # What it does not
//
//   - preread: there is no stream subsystem.
//   - certificates by name: TLS has the one certificate that Options names.
//   - scopes by consumer, workspaces (there is one), the database, the Admin
//     API, events between workers.
//   - load balancing: an upstream (kong.service.set_upstream) is one target.
//   - the check of a service's certificate, gRPC, WebSocket.
//   - regular expressions in routes: a path is a plain prefix, the longest
//     wins.
//   - errors that nginx itself answers, such as 502, have nginx's HTML body
//     and not Kong's JSON.
package host
