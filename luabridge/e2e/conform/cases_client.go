package conform

import (
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
)

var clientCases = []testCase{
	get("Client.GetIp", func(k *pdk.PDK) (string, error) { return k.Client.GetIp() }, lua("kong.client.get_ip")),
	get("Client.GetForwardedIp", func(k *pdk.PDK) (string, error) { return k.Client.GetForwardedIp() },
		lua("kong.client.get_forwarded_ip")),
	get("Client.GetPort", func(k *pdk.PDK) (int, error) { return k.Client.GetPort() }, lua("kong.client.get_port")).varying(),
	get("Client.GetForwardedPort", func(k *pdk.PDK) (int, error) { return k.Client.GetForwardedPort() },
		lua("kong.client.get_forwarded_port")).varying(),
	get("Client.GetCredential", func(k *pdk.PDK) (client.AuthenticatedCredential, error) { return k.Client.GetCredential() },
		lua("kong.client.get_credential")),
	get("Client.GetConsumer", func(k *pdk.PDK) (entities.Consumer, error) { return k.Client.GetConsumer() },
		lua("kong.client.get_consumer")),
	get("Client.LoadConsumer", func(k *pdk.PDK) (entities.Consumer, error) { return k.Client.LoadConsumer("ann", true) },
		lua("kong.client.load_consumer", "ann", true)),
	get("Client.LoadConsumer", func(k *pdk.PDK) (entities.Consumer, error) { return k.Client.LoadConsumer("nobody", true) },
		lua("kong.client.load_consumer", "nobody", true)),
	get("Client.Authenticate", func(k *pdk.PDK) (entities.Consumer, error) {
		consumer := &entities.Consumer{Id: "c", Username: "u", Tags: []string{"t"}}
		if err := k.Client.Authenticate(consumer, &client.AuthenticatedCredential{Id: "i", ConsumerId: "c"}); err != nil {
			return entities.Consumer{}, err
		}
		return k.Client.GetConsumer()
	}, lua("kong.client.authenticate", table{"id": "c", "username": "u", "tags": array{"t"}},
		table{"id": "i", "consumer_id": "c"}), lua("kong.client.get_consumer")),
	get("Client.Authenticate", func(k *pdk.PDK) (client.AuthenticatedCredential, error) {
		if err := k.Client.Authenticate(nil, &client.AuthenticatedCredential{Id: "i", ConsumerId: "c"}); err != nil {
			return client.AuthenticatedCredential{}, err
		}
		return k.Client.GetCredential()
	}, lua("kong.client.authenticate", nil, table{"id": "i", "consumer_id": "c"}), lua("kong.client.get_credential")),
	get("Client.GetProtocol", func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(false) },
		lua("kong.client.get_protocol", false)),
	get("Client.GetProtocol", func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(true) },
		lua("kong.client.get_protocol", true)),
	set("Client.TLS.RequestClientCertificate", func(k *pdk.PDK) error { return k.Client.TLS().RequestClientCertificate() },
		lua("kong.client.tls.request_client_certificate")),
	set("Client.TLS.DisableSessionReuse", func(k *pdk.PDK) error { return k.Client.TLS().DisableSessionReuse() },
		lua("kong.client.tls.disable_session_reuse")),
	get("Client.TLS.GetFullClientCertificateChain", func(k *pdk.PDK) (string, error) {
		return k.Client.TLS().GetFullClientCertificateChain()
	}, lua("kong.client.tls.get_full_client_certificate_chain")),
	get("Client.TLS.SetClientVerify", func(k *pdk.PDK) (string, error) {
		if err := k.Client.TLS().SetClientVerify("FAILED:x"); err != nil {
			return "", err
		}
		return k.Nginx.GetCtxString("CLIENT_VERIFY_OVERRIDE")
	}, lua("kong.client.tls.set_client_verify", "FAILED:x"), lua("kong.nginx.get_ctx", "CLIENT_VERIFY_OVERRIDE")),
}
