package kongrun

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// Configure gives Kong another declarative file through its Admin API. An error
// has what Kong says of a file that it refuses; it keeps the old one then. The
// workers take the new one over by themselves, some time later.
func (k *Kong) Configure(ctx context.Context, c Config) error {
	text, err := c.text()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.AdminURL()+"/config", bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("content-type", "application/json")
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("configure kong: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("configure kong: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("configure kong: status %d: %s", response.StatusCode, answer)
	}
	return nil
}
