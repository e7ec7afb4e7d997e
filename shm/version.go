package shm

import "fmt"

// version is a hello's: of this package, and of the application.
type version struct{ shm, app uint32 }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.shm, v.app) }

func (v version) olderThan(w version) bool {
	return v.shm < w.shm || v.shm == w.shm && v.app < w.app
}

// differ says that the two sides cannot talk, and what brings them together. It
// is short enough for a welcome. The Lua module kongring.versions says the same.
func differ(bridge, server version) error {
	remedy := fmt.Sprintf("the plugin is older: build it with the kongring that the bridge is from (%s), and restart it", bridge)
	if bridge.olderThan(server) {
		remedy = fmt.Sprintf(`the bridge is older: run "make install" of the kongring that the plugin is built with (%s), and reload Kong`, server)
	}
	return fmt.Errorf("%w: bridge %s, server %s: %s", ErrVersion, bridge, server, remedy)
}
