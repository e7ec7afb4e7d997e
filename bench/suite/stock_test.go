package suite

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/luabridge/testbed"
)

type (
	object = map[string]interface{}
	array  = []interface{}
)

// fakeServer plays a plugin server and keeps what it was asked.
type fakeServer struct {
	net.Listener
	work sync.WaitGroup

	mu      sync.Mutex
	conns   []net.Conn
	asked   array // method and argument, one after the other
	answers []interface{}
}

// failure is an answer that is an error.
type failure string

func listen(t *testing.T, socket string, answers ...interface{}) *fakeServer {
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	s := &fakeServer{Listener: l, answers: answers}
	s.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.work.Go(func() { s.serve(conn) })
		}
	})
	return s
}

// stop hangs up: the client keeps its connections.
func (s *fakeServer) stop() {
	_ = s.Close()
	s.mu.Lock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *fakeServer) serve(conn net.Conn) {
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	in, out := msgp.NewReader(conn), msgp.NewWriter(conn)
	_ = out.WriteIntf(array{2, "serverPid", 1234})
	_ = out.Flush()
	for {
		v, err := in.ReadIntf()
		if err != nil {
			return
		}
		request := v.(array)
		_ = out.WriteIntf(s.answer(request[1], request[2], request[3].(array)))
		_ = out.Flush()
	}
}

func (s *fakeServer) answer(id, method interface{}, args array) array {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, method, args[0])
	if len(s.answers) == 0 {
		return array{1, id, "nothing more was expected", nil}
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	if text, failed := next.(failure); failed {
		return array{1, id, string(text), nil}
	}
	return array{1, id, nil, next}
}

func call(method string, args ...interface{}) object {
	return object{"EventId": 3, "Data": object{"Method": "kong." + method, "Args": append(array{}, args...)}}
}

// What the client of the stock mode says is what Kong says: one request for each
// step, on one connection, and an instance that is started once.
func TestStockClient(t *testing.T) {
	r := newRun(t)
	over := object{"EventId": 3, "Data": "ret"}
	routes := array{route("/", "calls-stock", object{"n": 2})}
	err := r.withBed(t.Context(), mode{plugin: "calls-stock"}, "calls-stock", routes, func(b *testbed.Bed) error {
		s := listen(t, b.Socket(),
			object{"Id": 7}, call("request.get_header", "x-a"), call("request.get_query"), call("response.set_header", "x-b", "c"), over,
			call("request.get_raw_body"), call("ctx.shared.get", "nothing"), over,
			failure("No plugin instance 7"), object{"Id": 8}, over,
			failure("boom"))
		defer s.stop()

		answer, err := b.Client.Get(b.Host.URL() + "/?q=1&q=2&flag&r=")
		require.NoError(t, err)
		require.Equal(t, "c", answer.Header.Get("x-b"))
		_, err = readAnswer(answer)
		require.NoError(t, err)
		_, err = send(t.Context(), b, http.MethodPost, "/", []byte("\xff\x00"))
		require.NoError(t, err)
		_, err = get(t.Context(), b, "/")
		require.NoError(t, err)
		_, err = get(t.Context(), b, "/")
		require.ErrorContains(t, err, "status 500")

		s.stop()
		require.Len(t, s.conns, 1)
		config := s.asked[1].(object)["Config"].(string)
		require.Contains(t, config, `"n":2`)
		require.Contains(t, config, `"__plugin_id":`)
		start, event := object{"Name": "calls", "Config": config}, func(id int64) object {
			return object{"InstanceId": id, "EventName": "access"}
		}
		step := func(data interface{}) object { return object{"EventId": int64(3), "Data": data} }
		nothing := object{"EventId": int64(3)} // a key without a value is no key in Lua
		want := array{
			"plugin.StartInstance", start, "plugin.HandleEvent", event(7),
			"plugin.Step", nothing,
			"plugin.StepMultiMap", step(object{"q": array{"1", "2"}, "flag": array{}, "r": array{""}}),
			"plugin.Step", nothing,
			"plugin.HandleEvent", event(7), "plugin.Step", step([]byte("\xff\x00")), "plugin.Step", nothing,
			"plugin.HandleEvent", event(7), "plugin.StartInstance", start, "plugin.HandleEvent", event(8),
			"plugin.HandleEvent", event(8),
		}
		require.Equal(t, fmt.Sprintf("%v", want), fmt.Sprintf("%v", s.asked))
		return nil
	})
	needsNginx(t, err)
}
