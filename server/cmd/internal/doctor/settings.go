package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// settings are Kong's, by name.
type settings map[string]string

// defaults are Kong's where a file is silent.
var defaults = settings{
	"prefix": "/usr/local/kong", "plugins": "bundled",
	"lua_package_path": "./?.lua;./?/init.lua;", "nginx_worker_processes": "auto",
}

// luaDefaults is what Kong's LuaJIT has on its path behind all settings.
const luaDefaults = "/usr/local/openresty/site/lualib/?.lua;/usr/local/openresty/lualib/?.lua;" +
	"/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua;" +
	"/usr/local/openresty/luajit/share/lua/5.1/?.lua"

// ofPrefix gives the settings that the Kong at a prefix was started with.
func ofPrefix(prefix string) (settings, error) {
	s, err := readSettings(filepath.Join(prefix, ".kong_env"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exit.Misuse("no Kong was started at the prefix %s: name another by --prefix, or its configuration by -c kong.conf", prefix)
	}
	if err != nil {
		return nil, err
	}
	s["prefix"] = prefix
	return s, nil
}

// ofFile gives the settings of a kong.conf and of Kong's environment, which
// counts more.
func ofFile(path string, environment []string) (settings, error) {
	s, err := readSettings(path)
	if err != nil {
		return nil, exit.Misuse("flag --conf: %w", err)
	}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		if key, ours := strings.CutPrefix(name, "KONG_"); ours {
			s[strings.ToLower(key)] = value
		}
	}
	return s, nil
}

func readSettings(path string) (settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := settings{}
	for key, value := range defaults {
		s[key] = value
	}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); !found || strings.HasPrefix(key, "#") {
			continue
		}
		if value, _, _ = strings.Cut(value, " #"); key != "" {
			s[key] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return s, nil
}

// list gives the entries of a setting with several.
func (s settings) list(name string) (all []string) {
	for entry := range strings.SplitSeq(s[name], ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			all = append(all, entry)
		}
	}
	return all
}

// find gives the file that Lua loads for a module, "" if there is none.
func (s settings) find(module string) string {
	name := strings.ReplaceAll(module, ".", "/")
	for form := range strings.SplitSeq(s["lua_package_path"]+";"+luaDefaults, ";") {
		path := strings.ReplaceAll(strings.TrimSpace(form), "?", name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}
