package e2e_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// words makes the start of a welcome, of n bytes.
func words(n int, values ...uint32) []byte {
	out := []byte{}
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return append(out, make([]byte, n-len(out))...)
}

// A server of another version, whatever it answers: the log has both versions,
// which side is older and what to do, and clients get 503.
func TestServerOfAnotherVersion(t *testing.T) {
	own := fmt.Sprintf("%d.%d", shm.Version, wire.Version)
	pluginIsOlder := func(server string) string {
		return fmt.Sprintf("versions differ: bridge %s, server %s: the plugin is older: build it with the kongring that the bridge is from (%s), and restart it", own, server, own)
	}
	bridgeIsOlder := func(server string) string {
		return fmt.Sprintf(`versions differ: bridge %s, server %s: the bridge is older: run "make install" of the kongring that the plugin is built with (%s), and reload Kong`, own, server, server)
	}
	// As 1.1 said it: the text began 4 bytes earlier.
	const reason = "versions differ: bridge 2.2, server 1.1: install the bridge and build the plugin from the same kongring"
	refusal := words(256, shm.Magic, 1, 1, shm.WelcomeVersion)
	binary.LittleEndian.PutUint32(refusal[40:], uint32(len(reason)))
	copy(refusal[44:], reason)

	for name, tc := range map[string]struct {
		welcome []byte
		says    string
	}{
		"1.1 refuses":        {refusal, pluginIsOlder("1.1")},
		"older, takes all":   {words(256, shm.Magic, shm.Version, wire.Version-1, shm.WelcomeOK, 1), pluginIsOlder(fmt.Sprintf("%d.%d", shm.Version, wire.Version-1))},
		"older and shorter":  {words(64, shm.Magic, 1, 7), pluginIsOlder("1.7")},
		"newer":              {words(256, shm.Magic, shm.Version, 900, shm.WelcomeVersion), bridgeIsOlder(fmt.Sprintf("%d.900", shm.Version))},
		"newer and longer":   {words(999, shm.Magic, 900, 1, shm.WelcomeVersion), bridgeIsOlder("900.1")},
		"something else":     {[]byte("HTTP/1.1 400 Bad Request"), "the server's answer starts with 0x50545448: it is no kongring server"},
		"too short to say":   {words(8, shm.Magic, 1), "closed|hung up"},
		"without an answer":  {nil, "closed|hung up"},
		"same, and too long": {words(300, shm.Magic, shm.Version, wire.Version, 77), "the server refused: "},
	} {
		for _, carrier := range []string{"ring", "socket"} {
			t.Run(name+", "+carrier, func(t *testing.T) {
				b := start(t, func(o *testbed.Options) {
					o.NoServer = true
					handlerOf(t, o, fmt.Sprintf("carrier = %q", carrier))
					o.Config = entities(map[string]object{"direct": nil})
				})
				l, err := net.Listen("unix", b.Socket())
				require.NoError(t, err)
				served := make(chan struct{})
				go func() {
					defer close(served)
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						_, _ = c.Read(make([]byte, shm.HelloSize))
						_, _ = c.Write(tc.welcome)
						_ = c.Close()
					}
				}()
				says := regexp.QuoteMeta(tc.says)
				if tc.says == "closed|hung up" {
					says = tc.says
				}
				b.logged(says)
				require.Equal(t, 503, b.do("nothing").status)
				require.NoError(t, l.Close())
				<-served
			})
		}
	}
}
