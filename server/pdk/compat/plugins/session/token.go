package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Claims is what a token says, as far as the plugin looks at it.
type Claims struct {
	Issuer  string   `json:"iss"`
	Subject string   `json:"sub"`
	Expires int64    `json:"exp"`
	Scopes  []string `json:"scopes,omitempty"`
}

var (
	errNoToken   = errors.New("no session")
	errSignature = errors.New("the signature is wrong")
	errExpired   = errors.New("the session has expired")
)

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// verify checks a JWT that is signed with HS256, and gives its claims.
func (c *Config) verify(token string, now time.Time) (*Claims, error) {
	if token == "" {
		return nil, errNoToken
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("a token of %d parts", len(parts))
	}
	var h header
	if err := decode(parts[0], &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	key := c.key(h.KeyID)
	if h.Algorithm != "HS256" || key == "" {
		return nil, fmt.Errorf("algorithm %q, key %q", h.Algorithm, h.KeyID)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(signature, sign(key, parts[0]+"."+parts[1])) {
		return nil, errSignature
	}
	var claims Claims
	if err := decode(parts[1], &claims); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if claims.Issuer != c.Issuer {
		return nil, fmt.Errorf("issuer %q", claims.Issuer)
	}
	if now.Unix() > claims.Expires+int64(c.Leeway) {
		return nil, errExpired
	}
	for _, scope := range c.Scopes {
		if !slices.Contains(claims.Scopes, scope) {
			return nil, fmt.Errorf("scope %q is missing", scope)
		}
	}
	return &claims, nil
}

func sign(key, text string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func decode(part string, into interface{}) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
