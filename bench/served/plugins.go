package served

import (
	"runtime"
	"strconv"
	"time"

	"github.com/kongring/kongring/server/pdk"
)

// mallocs answers with how many objects this process has allocated so far.
type mallocs struct{}

// Access runs for each request.
func (*mallocs) Access(kong *pdk.PDK) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	kong.Response.Exit(200, strconv.AppendUint(nil, m.Mallocs, 10), nil)
}

// slow waits, as a plugin does that asks a service of its own.
type slow struct {
	Milliseconds int `json:"milliseconds"`
}

// Access runs for each request.
func (s *slow) Access(*pdk.PDK) { time.Sleep(time.Duration(s.Milliseconds) * time.Millisecond) }
