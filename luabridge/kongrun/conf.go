package kongrun

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Options say what to run and where.
type Options struct {
	Dir     string   // for all that is written, Kong's prefix in it; short, as sockets lie there
	Config  Config   // the declarative file
	Plugins []string // besides the bundled ones
	LuaPath []string // folders with Lua modules
	Workers int      // 1 by default

	// PEM files. With them Kong has a port for TLS as well, see Kong.TLSURL.
	Certificate, Key string

	// Settings are more lines of kong.conf. Env is added to the environment
	// that Kong is started in.
	Settings, Env map[string]string
}

// Config is a declarative file. Its version is filled in.
type Config map[string]interface{}

func (c Config) text() ([]byte, error) {
	all := Config{"_format_version": "3.0"}
	maps.Copy(all, c)
	return json.MarshalIndent(all, "", "  ")
}

// Write writes the declarative file, which Kong reads at its next reload.
func (k *Kong) Write(c Config) error {
	text, err := c.text()
	if err != nil {
		return err
	}
	return os.WriteFile(k.path("kong.json"), text, 0o644)
}

// settings are the lines of kong.conf.
func (k *Kong) settings() map[string]string {
	var path strings.Builder
	for _, dir := range k.options.LuaPath {
		fmt.Fprintf(&path, "%s/?.lua;%s/?/init.lua;", dir, dir)
	}
	all := map[string]string{
		"prefix": k.Prefix(), "database": "off", "declarative_config": k.path("kong.json"),
		"plugins":          strings.Join(append([]string{"bundled"}, k.options.Plugins...), ","),
		"lua_package_path": path.String() + "./?.lua;./?/init.lua;",
		"proxy_listen":     k.proxy, "admin_listen": k.admin,
		"stream_listen": "off", "status_listen": "off", "admin_gui_listen": "off", "anonymous_reports": "off",
		// The one that each build of Kong has.
		"router_flavor":          "traditional",
		"nginx_worker_processes": strconv.Itoa(k.options.Workers),
		"log_level":              "info",
	}
	if os.Getuid() == 0 {
		// else the workers are nobody, who may not attach to root's server
		all["nginx_user"] = "root root"
	}
	if k.options.Certificate != "" {
		all["proxy_listen"] += ", " + k.secure + " ssl"
		all["ssl_cert"], all["ssl_cert_key"] = k.options.Certificate, k.options.Key
	}
	maps.Copy(all, k.options.Settings)
	return all
}

func (k *Kong) writeConf() error {
	if err := os.MkdirAll(k.Prefix(), 0o755); err != nil {
		return err
	}
	var b strings.Builder
	all := k.settings()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = %s\n", key, all[key])
	}
	return os.WriteFile(filepath.Join(k.options.Dir, "kong.conf"), []byte(b.String()), 0o644)
}

// environment is this process's own, less what would go over the settings.
func (k *Kong) environment() []string {
	all := k.settings()
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		key, ours := strings.CutPrefix(name, "KONG_")
		_, set := all[strings.ToLower(key)]
		return ours && set
	})
	for name, value := range k.options.Env {
		env = append(env, name+"="+value)
	}
	return env
}
