package conform

import (
	"encoding/json"
	"os"
	"strconv"

	"github.com/kongring/kongring/server/pdk"
)

// Headers by which a request says what is to be done.
const (
	headerSide  = "x-conform-side"  // "go" or "lua"
	headerPhase = "x-conform-phase" // when
	headerCase  = "x-conform-case"  // its number, for Go
	headerCalls = "x-conform-calls" // its calls, for Lua: JSON in base64
	headerID    = "x-conform-id"    // of the request
)

// New gives the config of the Go side.
func New() interface{} { return &Config{} }

// Config is the config of both sides.
type Config struct {
	Out       string `json:"out"`       // file that answers are appended to, a line each
	Handshake string `json:"handshake"` // file with the headers of what is asked during the next handshake, in JSON
}

// line is one answer in the file.
type line struct {
	ID     string      `json:"id"`
	Result interface{} `json:"result"`
	Error  string      `json:"error,omitempty"`
	Raised string      `json:"raised,omitempty"` // Lua alone
}

// Certificate does what the file asks for.
func (c *Config) Certificate(kong *pdk.PDK) {
	text, err := os.ReadFile(c.Handshake)
	if err != nil {
		panic(err)
	}
	asked := map[string]string{}
	if err := json.Unmarshal(text, &asked); err != nil {
		panic(err)
	}
	c.do(kong, "certificate", func(name string) string { return asked[name] })
}

// Rewrite, Access, Response and Log do what the request asks for in the phase.
func (c *Config) Rewrite(kong *pdk.PDK) { c.run(kong, "rewrite") }

// Access is Rewrite in the phase access.
func (c *Config) Access(kong *pdk.PDK) { c.run(kong, "access") }

// Response is Rewrite in the phase response.
func (c *Config) Response(kong *pdk.PDK) { c.run(kong, "response") }

// Log is Rewrite in the phase log.
func (c *Config) Log(kong *pdk.PDK) { c.run(kong, "log") }

func (c *Config) run(kong *pdk.PDK, phase string) {
	c.do(kong, phase, func(name string) string {
		v, err := kong.Request.GetHeader(name)
		if err != nil {
			panic(err)
		}
		return v
	})
}

func (c *Config) do(kong *pdk.PDK, phase string, header func(name string) string) {
	if header(headerSide) != "go" || header(headerPhase) != phase {
		return
	}
	number, err := strconv.Atoi(header(headerCase))
	if err != nil {
		panic(err)
	}
	answer := line{ID: header(headerID)}
	if answer.Result, err = cases[number].run(kong); err != nil {
		answer.Result, answer.Error = nil, err.Error()
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	out, err := os.OpenFile(c.Out, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	defer out.Close()
	if _, err := out.Write(append(text, '\n')); err != nil {
		panic(err)
	}
}
