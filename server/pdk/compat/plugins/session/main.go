// Command session is a plugin that lets those through who have a session: a
// signed token in a cookie or in the header Authorization.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/client"
	"github.com/Kong/go-pdk/server"
)

const (
	Version  = "1.2.0"
	Priority = 1005
)

func main() {
	if err := server.StartServer(New, Version, Priority); err != nil {
		log.Fatalf("session: %v", err)
	}
}

// Config is what an administrator sets.
type Config struct {
	Issuer string            `json:"issuer"`
	Keys   map[string]string `json:"keys"` // by key id
	Scopes []string          `json:"scopes"`
	Leeway int               `json:"leeway"` // seconds
	Cookie Cookie            `json:"cookie"`
	Login  *Login            `json:"login"`
	Pass   struct {
		UserHeader string            `json:"user_header"`
		Fixed      map[string]string `json:"fixed"`
		HideToken  bool              `json:"hide_token"`
	} `json:"pass"`

	AnonymousPaths []string `json:"anonymous_paths"`
}

// Cookie says where browsers keep the session.
type Cookie struct {
	Name string `json:"name"`
}

// Login says where browsers without a session are sent.
type Login struct {
	URL     string `json:"url"`
	BackArg string `json:"back_arg"`
}

// New gives the defaults.
func New() interface{} {
	c := &Config{Leeway: 30, Cookie: Cookie{Name: "session"}}
	c.Pass.UserHeader = "X-Session-User"
	return c
}

// key finds a key in the config, or in the environment.
func (c *Config) key(id string) string {
	if key, ok := c.Keys[id]; ok {
		return key
	}
	if id == "env" {
		return os.Getenv("SESSION_KEY")
	}
	return ""
}

// Access checks the session.
func (c *Config) Access(kong *pdk.PDK) {
	path, err := kong.Request.GetPath()
	if err != nil {
		_ = kong.Log.Err("session: path: ", err.Error())
		refuse(kong, http.StatusInternalServerError, "internal error")
		return
	}
	for _, free := range c.AnonymousPaths {
		if strings.HasPrefix(path, free) {
			return
		}
	}
	token, browser := c.token(kong)
	claims, err := c.verify(token, time.Now())
	if err != nil {
		_ = kong.Log.Notice("session: ", path, ": ", err.Error())
		c.turnAway(kong, browser, err)
		return
	}
	consumer, err := kong.Client.LoadConsumer(claims.Subject, true)
	if err != nil || consumer.Id == "" {
		_ = kong.Log.Warn("session: no consumer ", claims.Subject)
		refuse(kong, http.StatusForbidden, "unknown user")
		return
	}
	credential := &client.AuthenticatedCredential{Id: claims.Subject + "@" + claims.Issuer, ConsumerId: consumer.Id}
	if err := kong.Client.Authenticate(&consumer, credential); err != nil {
		refuse(kong, http.StatusInternalServerError, "internal error")
		return
	}
	c.pass(kong, consumer.Username, claims)
}

// token finds the token, and tells whether it is a browser that asks.
func (c *Config) token(kong *pdk.PDK) (token string, browser bool) {
	if authorization, _ := kong.Request.GetHeader("Authorization"); strings.HasPrefix(authorization, "Bearer ") {
		return strings.TrimPrefix(authorization, "Bearer "), false
	}
	accept, _ := kong.Request.GetHeader("Accept")
	browser = strings.Contains(accept, "text/html")
	cookies, err := kong.Request.GetHeader("Cookie")
	if err != nil {
		return "", browser
	}
	r := http.Request{Header: http.Header{"Cookie": {cookies}}}
	cookie, err := r.Cookie(c.Cookie.Name)
	if err != nil {
		return "", browser
	}
	return cookie.Value, browser
}

// turnAway sends browsers to the login, and answers others with 401.
func (c *Config) turnAway(kong *pdk.PDK, browser bool, why error) {
	if !browser || c.Login == nil || c.Login.URL == "" {
		refuse(kong, http.StatusUnauthorized, why.Error())
		return
	}
	location := c.Login.URL
	if c.Login.BackArg != "" {
		back, _ := kong.Request.GetPathWithQuery()
		location += "?" + url.Values{c.Login.BackArg: {back}}.Encode()
	}
	kong.Response.Exit(http.StatusFound, nil, map[string][]string{
		"Location":   {location},
		"Set-Cookie": {c.Cookie.Name + "=; Path=/; Max-Age=0"},
	})
}

// pass tells the service, and the plugins that come later, who asks.
func (c *Config) pass(kong *pdk.PDK, user string, claims *Claims) {
	scopes := make([]interface{}, len(claims.Scopes))
	for i, s := range claims.Scopes {
		scopes[i] = s
	}
	if err := kong.Ctx.SetShared("session", map[string]interface{}{
		"user": user, "scopes": scopes, "expires": claims.Expires,
	}); err != nil {
		_ = kong.Log.Err("session: ", err.Error())
	}
	headers := map[string][]string{c.Pass.UserHeader: {user}}
	for name, value := range c.Pass.Fixed {
		headers[name] = []string{value}
	}
	_ = kong.ServiceRequest.SetHeaders(headers)
	if c.Pass.HideToken {
		_ = kong.ServiceRequest.ClearHeader("Authorization")
	}
	_ = kong.Response.SetHeader("X-Session-Expires", time.Unix(claims.Expires, 0).UTC().Format(time.RFC3339))
}

func refuse(kong *pdk.PDK, status int, message string) {
	body, _ := json.Marshal(map[string]string{"message": message})
	kong.Response.Exit(status, body, map[string][]string{
		"Content-Type":     {"application/json"},
		"WWW-Authenticate": {`Bearer realm="session"`},
	})
}
