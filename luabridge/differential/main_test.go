package differential_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

var (
	programs = flag.Int("programs", 5000, "how many programs run")
	seed     = flag.Uint64("seed", 1, "what they are made from")
)

var build testbed.Build

func TestMain(m *testing.M) {
	flag.Parse()
	if err := host.Available(); err != nil {
		fmt.Println("skipped: ", err)
		return
	}
	dir, err := os.MkdirTemp("", "kongring-differential-")
	if err == nil {
		build, err = testbed.Compile(context.Background(), dir, "./luabridge/differential/subject")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
