package pages_test

import (
	"testing"

	"github.com/kongring/kongring/shm/leaktest"
)

func TestMain(m *testing.M) { leaktest.VerifyTestMain(m) }
