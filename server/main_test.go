package server_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/kongring/kongring/shm/leaktest"
)

// role makes the test binary play another process. Its value names the part,
// rolePath the socket it is about.
const (
	role     = "KONGRING_TEST_ROLE"
	rolePath = "KONGRING_TEST_PATH"
)

var roles = map[string]func(socket string) error{
	"attach":    playAttach,
	"crowd":     playCrowd,
	"inspect":   playInspect,
	"trace":     playTrace,
	"plugin":    playPlugin,
	"faulty":    playFaulty,
	"pair":      playPair,
	"talker":    playTalker,
	"parent":    playParent,
	"child":     playChild,
	"no memory": playServerWithoutMemory,
	"victim":    playVictim,
}

func TestMain(m *testing.M) {
	if play := roles[os.Getenv(role)]; play != nil {
		if err := play(os.Getenv(rolePath)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leaktest.VerifyTestMain(m)
}
