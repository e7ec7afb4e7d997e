package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/luabridge/testcert"
)

// secure is a bed with TLS: the plugin shake, which is global, does in each
// handshake what the last call of during says.
type secure struct {
	*bed
	file  string
	trust *tls.Config
}

func startSecure(t *testing.T, change func(*testbed.Options)) *secure {
	t.Helper()
	pair, err := testcert.New("127.0.0.1", nil)
	require.NoError(t, err)
	s := &secure{trust: pair.Trusting()}
	s.bed = start(t, func(o *testbed.Options) {
		s.file = filepath.Join(o.Dir, "handshake")
		o.Config = testbed.Config{
			"plugins":        []string{"shake"},
			"global_plugins": []interface{}{object{"name": "shake", "config": object{"file": s.file}}},
			"routes":         []interface{}{object{"name": "r"}},
		}
		o.Host.Certificate, o.Host.Key, err = pair.Write(o.Dir)
		require.NoError(t, err)
		if change != nil {
			change(o)
		}
	})
	s.during("nothing")
	return s
}

// during says what happens in the handshakes from now on.
func (s *secure) during(deed string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.file, []byte(deed), 0o644))
}

func (s *secure) address() string { return strings.TrimPrefix(s.Host.TLSURL(), "https://") }

// shake makes a connection, to its end when it comes up.
func (s *secure) shake() error {
	conn, err := (&tls.Dialer{Config: s.trust}).DialContext(s.ctx, "tcp", s.address())
	if err != nil {
		return err
	}
	return conn.Close()
}

// knows makes a connection and gives what the plugin knows of it in the phase
// access.
func (s *secure) knows(config *tls.Config) (known struct{ Chain, Version, Left, Errors string }, state tls.ConnectionState) {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.Host.TLSURL()+"/", nil)
	require.NoError(s.t, err)
	response, err := client.Do(request)
	require.NoError(s.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Body.Close())
	require.Equal(s.t, 200, response.StatusCode, "%s", text)
	require.NoError(s.t, json.Unmarshal(text, &known), "%s", text)
	return known, *response.TLS
}

// aborted is what a client is told when the phase fails.
const aborted = "remote error: tls: internal error"

func TestHandshake(t *testing.T) {
	s := startSecure(t, nil)
	require.NoError(t, s.shake())
	s.during("calls:50")
	known, _ := s.knows(s.trust)
	require.Equal(t, "TLSv1.3", known.Version)
	require.Empty(t, known.Chain)
	require.Empty(t, known.Left, "the handshake's kong.ctx.shared is not the request's")
	s.logged(`\[shake\] shake: made 50 calls.*ssl_certificate_by_lua`)
	s.during("version")
	require.NoError(t, s.shake())
	s.logged(`\[shake\] shake: version: TLSv1.3 nil`)
}

func TestHandshakeThatFails(t *testing.T) {
	s := startSecure(t, nil)
	for deed, logged := range map[string]string{
		"panic:here": `plugin shake, instance .*, phase certificate: failed: boom here`,
		"exit":       `kong.response.exit: function cannot be called in certificate phase`,
		"path":       `plugin shake: kong.request.get_path: .*function cannot be called in certificate phase`,
		"address":    `plugin shake: kong.client.get_ip: .*API disabled in the current context`,
	} {
		s.during(deed)
		require.ErrorContains(t, s.shake(), aborted, deed)
		s.logged(logged)
		s.during("nothing")
		require.NoError(t, s.shake())
	}
}

func TestHandshakeWithoutServer(t *testing.T) {
	s := startSecure(t, func(o *testbed.Options) { o.NoServer = true })
	require.ErrorContains(t, s.shake(), aborted)
	s.logged(`plugin shake, instance .*, phase certificate: unavailable: `)
	require.NoError(t, s.StartServer(s.ctx))
	s.eventually("handshakes succeed", func() bool { return s.shake() == nil })

	// One handshake waits in a handler, another one ends the process.
	s.during("sleep:1h")
	var waits error
	var wg sync.WaitGroup
	wg.Go(func() { waits = s.shake() })
	s.logged("probe: sleeps")
	s.during("die")
	require.ErrorContains(t, s.shake(), aborted)
	wg.Wait()
	require.ErrorContains(t, waits, aborted)
	s.logged(`the plugin server went away`)
	require.NotContains(t, s.log(), "kong.response.exit", "there is no response")
}

// The worker attaches while the first handshake waits for it.
func TestAttachDuringTheHandshake(t *testing.T) {
	s := startSecure(t, func(o *testbed.Options) {
		patched(t, o, "handler.lua", `return kong.configuration.role ~= "control_plane"`, "return false")
	})
	require.NotContains(t, s.log(), "attached to")
	require.NoError(t, s.shake())
	s.logged(`attached to .* as session 1`)
}

func TestHandshakeTakesTooLong(t *testing.T) {
	s := startSecure(t, func(o *testbed.Options) { patched(t, o, "options.lua", "local TIMEOUT = 60", "local TIMEOUT = 0.3") })
	s.during("sleep:1h")
	require.ErrorContains(t, s.shake(), aborted)
	s.logged(`plugin shake, instance .*, phase certificate: timeout: no answer in time`)
	s.logged("probe: the context was cancelled")
	s.during("nothing")
	require.NoError(t, s.shake())
}

func TestManyHandshakes(t *testing.T) {
	s := startSecure(t, nil)
	s.during("sleep:30ms")
	var wg sync.WaitGroup
	var failed [60]error
	for i := range failed {
		wg.Go(func() { failed[i] = s.shake() })
	}
	wg.Wait()
	require.Equal(t, [60]error{}, failed)
	s.allEnded(60)
}

// allEnded waits until so many events, and no more, have their end on both sides.
func (s *secure) allEnded(events int) {
	s.t.Helper()
	s.eventually("every event has its end, on both sides", func() bool {
		stats, err := s.Server.Stats()
		require.NoError(s.t, err)
		n := stats.Sessions[0]
		return n.UnderWay == 0 && n.Bridge.Open == 0 && n.Bridge.EventsDone == float64(events) &&
			n.Server.EventsDone == uint64(events)
	})
}

// A client leaves while the plugin works on its handshake: the event comes to its
// end, and nobody else notices.
func TestClientLeavesDuringTheHandshake(t *testing.T) {
	s := startSecure(t, nil)
	before, err := s.Host.Workers()
	require.NoError(t, err)
	s.during("sleep:300ms")
	conn, err := net.Dial("tcp", s.address())
	require.NoError(t, err)
	defer conn.Close()
	config := s.trust.Clone()
	config.ServerName = "127.0.0.1"
	left := make(chan error, 1)
	go func() { left <- tls.Client(conn, config).Handshake() }()
	s.logged("probe: sleeps")
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-left, net.ErrClosed)

	s.during("nothing")
	require.NoError(t, s.shake())
	s.allEnded(2)
	after, err := s.Host.Workers()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// nginx gives a handshake up that takes too long, and kills its coroutine.
func TestNginxGivesAHandshakeUp(t *testing.T) {
	s := startSecure(t, func(o *testbed.Options) { o.Host.ExtraServer = "client_header_timeout 1s;" })
	before, err := s.Host.Workers()
	require.NoError(t, err)
	s.during("sleep:2s")
	require.ErrorIs(t, s.shake(), io.EOF)
	s.logged("probe: sleeps")

	s.during("calls:50")
	for range 20 {
		require.NoError(t, s.shake())
	}
	after, err := s.Host.Workers()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestReloadDuringHandshakes(t *testing.T) {
	s := startSecure(t, nil)
	s.during("sleep:20ms")
	s.reloadUnder(s.shake)
}

// reloadUnder lets nginx reload while several at a time do something, again and
// again, which never fails.
func (b *bed) reloadUnder(do func() error) {
	b.t.Helper()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var failed [4]error
	for i := range failed {
		wg.Go(func() {
			for failed[i] == nil {
				select {
				case <-stop:
					return
				default:
					failed[i] = do()
				}
			}
		})
	}
	b.logged("probe: sleeps")
	err := b.Host.Reload(b.ctx)
	close(stop)
	wg.Wait()
	require.NoError(b.t, err)
	require.Equal(b.t, [4]error{}, failed)
}

func TestSessionReuse(t *testing.T) {
	s := startSecure(t, nil)
	for deed, resumed := range map[string]bool{"nothing": true, "no-reuse": false} {
		s.during(deed)
		config := s.trust.Clone()
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		_, first := s.knows(config)
		_, second := s.knows(config)
		require.False(t, first.DidResume, deed)
		require.Equal(t, resumed, second.DidResume, deed)
	}
}

func TestClientCertificate(t *testing.T) {
	s := startSecure(t, nil)
	root, err := testcert.New("root.test", nil)
	require.NoError(t, err)
	client, err := testcert.New("client.test", root)
	require.NoError(t, err)
	config := s.trust.Clone()
	config.Certificates = []tls.Certificate{client.Certificate}
	known, _ := s.knows(config)
	require.Empty(t, known.Chain, "nobody asked for it")
	s.during("ask")
	known, _ = s.knows(config)
	require.Equal(t, string(client.PEM()), known.Chain)
	known, _ = s.knows(s.trust)
	require.Empty(t, known.Chain, "the client has none")
}
