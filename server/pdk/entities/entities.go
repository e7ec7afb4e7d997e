// Package entities holds Kong's entities as plugins see them. What an entity has
// not set is the zero value.
package entities

// ServiceKey names a service.
type ServiceKey struct {
	Id string `json:"id"`
}

// CertificateKey names a certificate.
type CertificateKey struct {
	Id string `json:"id"`
}

// CIDRPort is where a connection of a stream route comes from or goes to: an
// address or network, a port, or both.
type CIDRPort struct {
	IP   string `json:"ip"`
	Port int    `json:"port"`
}

// Route is how requests come to a service. Headers, Sources and Destinations
// are lists of text: "name: value", and "network:port"; HeaderValues,
// SourceParts and DestinationParts have their parts.
type Route struct {
	Id                      string     `json:"id"`
	CreatedAt               int        `json:"created_at"`
	UpdatedAt               int        `json:"updated_at"`
	Name                    string     `json:"name"`
	Protocols               []string   `json:"protocols"`
	Methods                 []string   `json:"methods"`
	Hosts                   []string   `json:"hosts"`
	Paths                   []string   `json:"paths"`
	Headers                 []string   `json:"headers"`
	HTTPSRedirectStatusCode int        `json:"https_redirect_status_code"`
	RegexPriority           int        `json:"regex_priority"`
	StripPath               bool       `json:"strip_path"`
	PreserveHost            bool       `json:"preserve_host"`
	SNIs                    []string   `json:"snis"`
	Sources                 []string   `json:"sources"`
	Destinations            []string   `json:"destinations"`
	Tags                    []string   `json:"tags"`
	Service                 ServiceKey `json:"service"`

	HeaderValues      map[string][]string `json:"header_values"`
	SourceParts       []CIDRPort          `json:"source_parts"`
	DestinationParts  []CIDRPort          `json:"destination_parts"`
	Expression        string              `json:"expression"`
	Priority          int                 `json:"priority"` // of Expression
	PathHandling      string              `json:"path_handling"`
	RequestBuffering  bool                `json:"request_buffering"`
	ResponseBuffering bool                `json:"response_buffering"`
	WsId              string              `json:"ws_id"`
}

// Service is what requests are sent on to. Times are in milliseconds.
type Service struct {
	Id                string         `json:"id"`
	CreatedAt         int            `json:"created_at"`
	UpdatedAt         int            `json:"updated_at"`
	Name              string         `json:"name"`
	Retries           int            `json:"retries"`
	Protocol          string         `json:"protocol"`
	Host              string         `json:"host"`
	Port              int            `json:"port"`
	Path              string         `json:"path"`
	ConnectTimeout    int            `json:"connect_timeout"`
	WriteTimeout      int            `json:"write_timeout"`
	ReadTimeout       int            `json:"read_timeout"`
	Tags              []string       `json:"tags"`
	ClientCertificate CertificateKey `json:"client_certificate"`

	Enabled        bool     `json:"enabled"`
	TLSVerify      bool     `json:"tls_verify"`
	TLSVerifyDepth int      `json:"tls_verify_depth"`
	CACertificates []string `json:"ca_certificates"`
	WsId           string   `json:"ws_id"`
}

// Consumer is who uses a service.
type Consumer struct {
	Id        string   `json:"id"`
	CreatedAt int      `json:"created_at"`
	Username  string   `json:"username"`
	CustomId  string   `json:"custom_id"`
	Tags      []string `json:"tags"`

	UpdatedAt int    `json:"updated_at"`
	WsId      string `json:"ws_id"`
}
