package pdk_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
)

// inTurn gives one answer after the other.
type inTurn struct {
	transport
	answers [][]byte
}

func (t *inTurn) Get(c *bridge.Call) error {
	t.answer, t.answers = t.answers[0], t.answers[1:]
	return t.transport.Get(c)
}

// A file that this process cannot open is another one's to read.
func TestBodyThatIsOutOfReach(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	for name, tc := range map[string]struct {
		then list
		want string
		says string
	}{
		"read by Kong":      {list{0, []byte("the body")}, "the body", ""},
		"too long for Kong": {list{2, "request body file too big"}, "", "request body file too big"},
		"Kong before 3.9":   {list{1, gone}, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &inTurn{answers: [][]byte{encode(t, list{1, gone}), encode(t, tc.then)}}
			c := new(bridge.Call)
			c.Init(tr)
			kong := pdk.Make(c.Open())
			body, err := kong.Request.GetRawBody()
			require.Equal(t, []message{
				{"kong.request.get_raw_body", false, list{}},
				{"kong.request.get_raw_body", false, list{int64(64 << 20)}},
			}, tr.sent)
			require.Equal(t, tc.want, string(body))
			if tc.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.says)
			}
		})
	}
}
