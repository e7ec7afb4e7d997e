package kongtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneRequest(t *testing.T) {
	b := start(t, nil)
	status, body, err := b.get("/s/a")
	require.NoError(t, err)
	log, _ := b.kong.ErrorLog()
	require.Equal(t, 200, status, log)
	require.Equal(t, "hello /s/a", body)
}
