package host

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(orphanPrefix) != "" {
		startOrphan()
		return
	}
	goleak.VerifyTestMain(m)
}
