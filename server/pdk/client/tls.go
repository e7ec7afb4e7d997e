package client

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// TLS is the client's TLS connection. Where a connection has none, its methods
// give Kong's error.
type TLS struct{ bridge.PdkBridge }

// TLS gives the client's TLS connection.
func (c Client) TLS() TLS { return TLS(c) }

// RequestClientCertificate asks the client for its certificate during the
// handshake; the client need not send one. Phases: certificate.
func (t TLS) RequestClientCertificate() error {
	return t.Ask(wire.ClientTLSRequestClientCertificate).Checked()
}

// DisableSessionReuse keeps the client from resuming this session, so that the
// certificate phase runs for its next connection too. Phases: certificate.
func (t TLS) DisableSessionReuse() error {
	return t.Ask(wire.ClientTLSDisableSessionReuse).Checked()
}

// GetFullClientCertificateChain gives the certificates that the client sent as
// PEM text, its own first, "" if it sent none. Phases: rewrite, access, response, log.
func (t TLS) GetFullClientCertificateChain() (string, error) {
	return t.Ask(wire.ClientTLSGetFullClientCertificateChain).ToString()
}

// SetClientVerify sets what Kong tells about the check of the client's
// certificate: "SUCCESS", "NONE" or "FAILED:reason". Phases: rewrite, access,
// response.
func (t TLS) SetClientVerify(result string) error {
	return t.Ask(wire.ClientTLSSetClientVerify).String(result).Done()
}
