package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/Kong/go-pdk/entities"
)

// caller tells who asks.
type caller interface {
	GetForwardedIp() (string, error)
	GetConsumer() (entities.Consumer, error)
}

// message is what they ask for.
type message interface {
	GetMethod() (string, error)
	GetPathWithQuery() (string, error)
	GetHeader(name string) (string, error)
	GetRawBody() ([]byte, error)
}

type source interface {
	caller
	message
}

// target is the request to the service.
type target interface {
	SetHeader(name, value string) error
	SetHeaders(headers map[string][]string) error
	ClearHeader(name string) error
}

type logger interface {
	Err(args ...interface{}) error
	Debug(args ...interface{}) error
}

// signer signs one request.
type signer struct {
	config *Config
	in     source
	out    target
	log    logger
	now    func() time.Time
}

var now = time.Now

var errNoSecret = errors.New("no secret is set")

func (s signer) sign() error {
	consumer, err := s.in.GetConsumer()
	if err != nil {
		return fmt.Errorf("consumer: %w", err)
	}
	secret := s.config.secret(consumer.Username)
	if secret == "" {
		return errNoSecret
	}
	text, err := s.canonical()
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s\n%s\n%s", stamp, consumer.Username, text)
	for _, name := range s.config.Strip {
		if err := s.out.ClearHeader(name); err != nil {
			return fmt.Errorf("strip %s: %w", name, err)
		}
	}
	ip, err := s.in.GetForwardedIp()
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	s.log.Debug("upstream-auth: signed for ", consumer.Username, " at ", ip)
	if err := s.out.SetHeaders(map[string][]string{"X-Auth-User": {consumer.Username}, "X-Auth-Ip": {ip}}); err != nil {
		return err
	}
	return s.out.SetHeader("X-Auth-Signature", fmt.Sprintf("%s %s %x", s.config.KeyID, stamp, mac.Sum(nil)))
}

// canonical is the text that is signed of the request.
func (s signer) canonical() (string, error) {
	method, err := s.in.GetMethod()
	if err != nil {
		return "", fmt.Errorf("method: %w", err)
	}
	path, err := s.in.GetPathWithQuery()
	if err != nil {
		return "", fmt.Errorf("path: %w", err)
	}
	lines := []string{method, path}
	for _, name := range s.config.Headers {
		value, err := s.in.GetHeader(name)
		if err != nil {
			return "", fmt.Errorf("header %s: %w", name, err)
		}
		lines = append(lines, strings.ToLower(name)+":"+value)
	}
	if s.config.SignBody {
		body, err := s.in.GetRawBody()
		if err != nil {
			return "", fmt.Errorf("body: %w", err)
		}
		if len(body) > int(s.config.MaxBody) {
			return "", fmt.Errorf("body of %d bytes", len(body))
		}
		sum := sha256.Sum256(body)
		lines = append(lines, hex.EncodeToString(sum[:]))
	}
	return strings.Join(lines, "\n"), nil
}

func (c *Config) secret(consumer string) string {
	for _, o := range c.Overrides {
		if o.Consumer == consumer {
			return o.Secret
		}
	}
	if c.Secret != "" {
		return c.Secret
	}
	return os.Getenv("UPSTREAM_AUTH_SECRET")
}
