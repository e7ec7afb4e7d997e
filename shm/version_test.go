package shm_test

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/shm"
)

// What bridges of other versions say first: 1.1 and 2.2 as they were, and
// versions that there never were, with another length.
var otherHellos = map[string]struct {
	bytes, says string
}{
	"1.1": {"4b52473101000000010000000100000000000000e3100000ffffffff00000000" + "00000000000000000000000000000000",
		`bridge 1.1, server 3.7: the bridge is older: run "make install" of the kongring that the plugin is built with (3.7), and reload Kong`},
	"2.2": {"4b524731020000000200000001000000010000003a120000ffffffff00000000" + "00000000000000000000000000000000",
		`bridge 2.2, server 3.7: the bridge is older: run "make install"`},
	"shorter": {"4b5247310100000009000000",
		`bridge 1.9, server 3.7: the bridge is older`},
	"longer": {"4b5247310400000001000000" + hex.EncodeToString(make([]byte, 100)),
		`bridge 4.1, server 3.7: the plugin is older: build it with the kongring that the bridge is from (4.1), and restart it`},
	"newer": {"4b524731030000000800000001000000010000003a120000ffffffff00000000" + "00000000000000000000000000000000",
		`bridge 3.8, server 3.7: the plugin is older`},
}

// A bridge of another version is refused at once, and can read why.
func TestHelloOfAnotherVersion(t *testing.T) {
	for name, tc := range otherHellos {
		t.Run(name, func(t *testing.T) {
			c, peer := rawPair(t)
			text, err := hex.DecodeString(tc.bytes)
			require.NoError(t, err)
			_, err = peer.Write(text)
			require.NoError(t, err)
			_, err = c.ReadHello(app, patience)
			require.ErrorIs(t, err, shm.ErrVersion)
			require.ErrorContains(t, err, tc.says)

			require.NoError(t, c.Refuse(app, shm.WelcomeVersion, err.Error()))
			require.NoError(t, c.Close())
			require.NoError(t, peer.SetReadDeadline(time.Now().Add(patience)))
			welcome := make([]byte, shm.WelcomeSize+1)
			n := 0
			for {
				more, err := peer.Read(welcome[n:])
				if n += more; err != nil {
					require.EqualError(t, err, "EOF", "no reset")
					break
				}
			}
			require.Equal(t, shm.WelcomeSize, n)
			size := binary.LittleEndian.Uint32(welcome[44:])
			require.Equal(t, err.Error(), string(welcome[48:48+size]), "all of it")
		})
	}
}
