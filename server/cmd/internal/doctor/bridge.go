package doctor

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

var number = map[string]*regexp.Regexp{}

func init() {
	for _, name := range []string{"VERSION", "APP", "HELPER_ABI"} {
		number[name] = regexp.MustCompile(`(?m)^\s*(?:_M\.)?` + name + `\s*=\s*(\d+)`)
	}
}

// packaged is where the Debian package has the bridge, which Kong's own path does
// not lead to.
const packaged = "/usr/share/lua/5.1"

// bridge looks for the bridge on Kong's Lua path, and for its helper.
func (s settings) bridge(r *report) {
	layout := s.find("kongring.layout")
	if layout == "" {
		fix := "run kongring install, and have PREFIX/share/lua/5.1/?.lua on lua_package_path"
		if exists(filepath.Join(packaged, "kongring", "layout.lua")) {
			fix = "have " + packaged + "/?.lua on lua_package_path"
		}
		r.add(Error, "bridge", fix, "the folder kongring is not on Kong's Lua path")
		return
	}
	dir := filepath.Dir(layout)
	text, err := os.ReadFile(layout)
	if err != nil {
		r.add(Error, "bridge", "let Kong's user read it", "%v", err)
		return
	}
	values := map[string]uint64{}
	for name, form := range number {
		found := form.FindSubmatch(text)
		if found == nil {
			r.add(Error, "bridge", "run kongring install again", "%s says no %s", layout, name)
			return
		}
		values[name], _ = strconv.ParseUint(string(found[1]), 10, 32)
	}
	if values["VERSION"] != shm.Version || values["APP"] != wire.Version {
		r.add(Error, "bridge", "run kongring install of the version that the plugins are built with, and reload Kong",
			"%s is version %d.%d, this command is %d.%d", dir, values["VERSION"], values["APP"], shm.Version, wire.Version)
	} else {
		r.ok("bridge", "%s, version %d.%d", dir, values["VERSION"], values["APP"])
	}
	helper := os.Getenv("KONGRING_HELPER")
	if helper == "" {
		helper = filepath.Join(dir, "libkongring.so")
	}
	switch abi, err := helperABI(helper); {
	case err != nil:
		r.add(Error, "helper", "run kongring install again", "%v", err)
	case uint64(abi) != values["HELPER_ABI"]:
		r.add(Error, "helper", "run kongring install again", "%s is version %d, the bridge wants %d", helper, abi, values["HELPER_ABI"])
	default:
		r.ok("helper", "%s, version %d", helper, abi)
	}
}

// helperABI reads a helper's version, without loading it.
func helperABI(path string) (uint32, error) {
	f, err := elf.Open(path)
	if err != nil {
		var missing *fs.PathError
		if errors.As(err, &missing) {
			return 0, err
		}
		return 0, fmt.Errorf("%s is no library: %w", path, err)
	}
	defer f.Close()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	if f.Machine != machines[runtime.GOARCH] {
		return 0, fmt.Errorf("%s is for %v, this machine is %v", path, f.Machine, machines[runtime.GOARCH])
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	for _, symbol := range symbols {
		if symbol.Name != "kongring_abi_number" || int(symbol.Section) >= len(f.Sections) {
			continue
		}
		section := f.Sections[symbol.Section]
		var b [4]byte
		if _, err := section.ReadAt(b[:], int64(symbol.Value-section.Addr)); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		return binary.LittleEndian.Uint32(b[:]), nil
	}
	return 0, fmt.Errorf("%s does not say its version: it is older than this command, or another library", path)
}
