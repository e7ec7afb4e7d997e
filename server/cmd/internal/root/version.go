package root

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// packaged is the version of the package that the command is part of, set by its
// build (-ldflags -X); "" for one that go install or go build made.
var packaged string

// version is the command's own, and the one of the bridge and the servers that it
// goes with.
func version() string {
	own := packaged
	if info, ok := debug.ReadBuildInfo(); ok {
		own = cmp.Or(own, info.Main.Version)
	}
	return fmt.Sprintf("%s (bridge and servers %d.%d)", cmp.Or(own, "(devel)"), shm.Version, wire.Version)
}
