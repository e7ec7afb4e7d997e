package kongtest_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
)

// good is a config of the plugin tagged with a value for every field that may
// have one.
var good = object{
	"needed": "x", "secret": "{vault://env/secret}",
	"id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "regex": "a+", "time": 1700000000, "mode": "deny", "other": "else",
	"seven": 7, "not_seven": 8, "yes": true, "positive": 0.5, "percent": 100, "small": -128, "word": "word", "no_space": "ab",
	"path": "/a", "three": "abc", "short": "ab",
	"paths": list{"/a", "/b"}, "pair": list{1, 2}, "list": list{"x"}, "codes": object{"ok": 200}, "lists": object{"a": list{1}},
	"one": "1", "red": "r", "from": "a", "to": "b", "user": "u", "black": "b", "inner": object{"pass": "p", "depth": 3},
}

// bad are values that Kong has to refuse in the place of the good ones, by the
// tag that says so.
var bad = map[string]object{
	"required": {"needed": nil}, "uuid": {"id": "1"}, "is_regex": {"regex": "("}, "timestamp": {"time": -1},
	"one_of": {"mode": "else"}, "not_one_of": {"other": "deny"}, "eq": {"seven": 8}, "ne": {"not_seven": 7},
	"eq of a boolean": {"yes": false}, "gt": {"positive": 0}, "between": {"percent": 101}, "int8": {"small": 128},
	"match": {"word": "w1"}, "not_match": {"no_space": "a b"}, "starts_with": {"path": "a"}, "len_eq": {"three": "ab"},
	"len_min": {"short": "a"}, "len_max": {"short": "abcdef"}, "len_min of a list": {"list": list{}},
	"elements": {"paths": list{"a"}}, "array": {"pair": list{1, 2, 3}},
	"keys": {"codes": object{"1": 200}}, "values": {"codes": object{"ok": 99}}, "values.elements": {"lists": object{"a": list{0}}},
	"at_least_one_of": {"one": nil}, "only_one_of": {"blue": "b"}, "distinct": {"to": "a"}, "mutually_required": {"user": nil},
	"mutually_exclusive": {"white": "w"}, "record": {"inner": object{"pass": "p", "depth": 4}},
	"string": {"needed": 1}, "integer": {"percent": 1.5}, "boolean": {"yes": "true"}, "number": {"positive": "1"},
	"unknown": {"unknown": 1},
}

// with is a declarative file with the plugin tagged for all requests.
func with(config object, more ...object) kongrun.Config {
	p := object{"name": "tagged", "config": config}
	for _, m := range more {
		maps.Copy(p, m)
	}
	return kongrun.Config{"plugins": list{p}}
}

// Kong checks configs by the schema that the server writes, and by the one that
// it prints.
func TestSchema(t *testing.T) {
	for name, change := range map[string]func(*kongrun.Options){
		"install": func(o *kongrun.Options) { o.Plugins = append(o.Plugins, "tagged", "limited") },
		"dump": func(o *kongrun.Options) {
			o.Plugins, o.LuaPath, o.Config = []string{"tagged", "limited"}, nil, nil
			o.Settings = pluginServer("tagged", subject.Server+" -only tagged", o.Dir)
			maps.Copy(o.Settings, pluginServer("limited", subject.Server+" -only limited", o.Dir))
			o.Settings["pluginserver_names"] = "tagged,limited"
			o.Settings["pluginserver_limited_socket"] = testbed.SocketIn(o.Dir) + "2"
			o.Settings["pluginserver_limited_start_cmd"] = subject.Server + " -only limited -socket " + testbed.SocketIn(o.Dir) + "2"
		},
	} {
		t.Run(name, func(t *testing.T) { checkSchema(t, start(t, change)) })
	}
}

func checkSchema(t *testing.T, b *bed) {
	require.NoError(t, b.kong.Configure(b.ctx, with(good)))
	for name, values := range bad {
		t.Run(name, func(t *testing.T) {
			config := maps.Clone(good)
			maps.Copy(config, values)
			err := b.kong.Configure(b.ctx, with(config))
			require.ErrorContains(t, err, "status 400")
			for field := range values {
				require.ErrorContains(t, err, field)
			}
		})
	}
	t.Run("protocols", func(t *testing.T) {
		require.NoError(t, b.kong.Configure(b.ctx, with(good, object{"protocols": list{"https"}})))
		require.ErrorContains(t, b.kong.Configure(b.ctx, with(good, object{"protocols": list{"tcp"}})), "status 400")
	})
	t.Run("scope", func(t *testing.T) {
		plugin := list{object{"name": "limited"}}
		require.NoError(t, b.kong.Configure(b.ctx, kongrun.Config{"plugins": plugin}))
		// By name: what lies inside a route is not looked at, of no plugin.
		for kind, entity := range map[string]object{
			"route": {"name": "x", "paths": list{"/x"}}, "service": {"name": "x", "url": "http://127.0.0.1:1"}, "consumer": {"username": "x"},
		} {
			err := b.kong.Configure(b.ctx, kongrun.Config{
				kind + "s": list{entity}, "plugins": list{object{"name": "limited", kind: "x"}},
			})
			require.ErrorContains(t, err, "value must be null")
		}
	})
	t.Run("defaults", func(t *testing.T) {
		require.NoError(t, b.kong.Configure(b.ctx, with(object{"needed": "x", "seven": 7, "yes": true, "two": "2", "blue": "b"})))
		got := b.pluginConfig()
		require.EqualValues(t, 7, got["filled"])
		require.Equal(t, list{"a", "b"}, got["list"])
		require.Equal(t, object{"pass": nil, "depth": 1.0}, got["inner"])
		require.Nil(t, got["mode"])
	})
}

// Kong checks a file without a plugin server, as a control plane does that has
// no servers: it needs the files of -install and those of make install. For the
// schema alone it says that the plugin is not installed.
func TestSchemaWithoutServer(t *testing.T) {
	check := func(config object, luaPath ...string) error {
		return kongrun.Check(timeLimit(t), kongrun.Options{
			Dir: t.TempDir(), Plugins: []string{"tagged"}, LuaPath: luaPath, Config: with(config),
		})
	}
	lua := t.TempDir()
	install := exec.Command(subject.Server, "-install", lua)
	require.NoError(t, install.Run())
	require.NoError(t, check(good, lua, installed))

	config := maps.Clone(good)
	config["percent"] = 0
	require.ErrorContains(t, check(config, lua, installed), "value should be between 1 and 100")

	require.NoError(t, os.Remove(filepath.Join(lua, "kong/plugins/tagged/handler.lua")))
	_, err := kongrun.Start(timeLimit(t), kongrun.Options{
		Dir: shortDir(t), Plugins: []string{"tagged"}, LuaPath: []string{lua, installed},
	})
	require.ErrorContains(t, err, "not installed")
}

// pluginConfig is the config of the only plugin, as Kong has it.
func (b *bed) pluginConfig() object {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.kong.AdminURL()+"/plugins", nil)
	require.NoError(b.t, err)
	response, err := b.Client.Do(r)
	require.NoError(b.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	var answer struct{ Data []struct{ Config object } }
	require.NoError(b.t, json.Unmarshal(text, &answer), "%s", text)
	require.Len(b.t, answer.Data, 1, "%s", text)
	return answer.Data[0].Config
}
