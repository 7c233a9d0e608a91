package demo

import (
	"fmt"
	"net/http"

	"github.com/dealpay/dealpay/payments/ameria/ameriatest"
	"github.com/dealpay/dealpay/payments/arca/arcatest"
	"github.com/dealpay/dealpay/payments/fastshift/fastshifttest"
	"github.com/dealpay/dealpay/payments/idram/idramtest"
	"github.com/dealpay/dealpay/payments/stripe/stripetest"
	"github.com/dealpay/dealpay/payments/telcell/telcelltest"
	"github.com/dealpay/dealpay/payments/vposam/vposamtest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// bank is an acquirer's stand-in.
type bank struct {
	key         string // as the control API and the ready file know it
	host        string // the first of its hosts, where its control API is named
	credentials map[string]string
	server      interface {
		http.Handler
		Hosts() []string
		Close()
	}
	// call sets where notices go, where the acquirer's staff or console does that; nil when each payment names it.
	call func(address string)
}

// banks makes the acquirers' stand-ins. The credentials open nothing but them.
func banks(suffix string, client *http.Client) []bank {
	ameria := ameriatest.New(ameriatest.Config{ClientID: "00000000-0000-4000-8000-0000000000c1", Username: "demo-ameria", Password: "demo-ameria-password",
		OrderMin: 1, OrderMax: 1 << 40, AnyAmount: true})
	arca := arcatest.New(arcatest.Config{Login: "demo_api", Password: "demo-arca-password", CallbackKey: "demo-arca-callback-key", HTTP: client})
	idram := idramtest.New(idramtest.Config{Account: "100000114", Secret: "demo-idram-secret", HTTP: client})
	telcell := telcelltest.New(telcelltest.Config{Issuer: "shop@example.am", ShopKey: "demo-telcell-key", PublicSuffix: suffix, HTTP: client})
	stripe := stripetest.New(stripetest.Config{SecretKey: "sk_test_demo", WebhookSecret: "whsec_test_demo", PublicSuffix: suffix, HTTP: client})
	fastshift := fastshifttest.New(fastshifttest.Config{Token: "demo-fastshift-token", PublicSuffix: suffix, HTTP: client})
	vposam := vposamtest.New(vposamtest.Config{Token: VposToken, WebhookSecret: VposSecret, PublicSuffix: suffix, HTTP: client})
	return []bank{
		{Acquirer, vposamtest.Host, map[string]string{"token": VposToken, "webhook_secret": VposSecret}, vposam, nil},
		{"ameria", ameriatest.Host, map[string]string{"client_id": "00000000-0000-4000-8000-0000000000c1", "username": "demo-ameria",
			"password": "demo-ameria-password", "mode": "test"}, ameria, nil},
		{"arca", "ipaytest.arca.am", map[string]string{"gateway": "ipay-test", "username": "demo_api", "password": "demo-arca-password",
			"callback_key": "demo-arca-callback-key"}, arca, arca.Call},
		{"idram", idramtest.Host, map[string]string{"account": "100000114", "secret": "demo-idram-secret"}, idram, idram.Call},
		{"telcell", telcelltest.Host, map[string]string{"issuer": "shop@example.am", "shop_key": "demo-telcell-key", "mode": "test"}, telcell, telcell.SetResult},
		{"stripe", stripetest.Host, map[string]string{"secret_key": "sk_test_demo", "webhook_secret": "whsec_test_demo"}, stripe, stripe.SetWebhook},
		{"fastshift", fastshifttest.Host, map[string]string{"token": "demo-fastshift-token"}, fastshift, nil},
	}
}

// bankHosts are where the control APIs of the acquirers are, by key.
var bankHosts = map[string]string{Acquirer: vposamtest.Host, "ameria": ameriatest.Host, "arca": "ipaytest.arca.am", "idram": idramtest.Host,
	"telcell": telcelltest.Host, "stripe": stripetest.Host, "fastshift": fastshifttest.Host}

// AcquirerURLs is the part of the app's environment that points its adapters at the stand-ins; suffix stands after
// their host names.
func AcquirerURLs(suffix string) map[string]string {
	at := func(host, path string) string { return fmt.Sprintf("http://%s%s%s", host, suffix, path) }
	return map[string]string{
		"VPOS_AM_URL":      at(vposamtest.Host, ""),
		"AMERIA_TEST_URL":  at(ameriatest.Host, "/VPOS/"),
		"ARCA_GATEWAYS":    "ipay-test=" + at("ipaytest.arca.am", "/payment/rest/") + ",epg-test=" + at("testepg.arca.am", "/payment/rest/"),
		"IDRAM_URL":        at(idramtest.Host, "/Payment/GetPayment"),
		"TELCELL_TEST_URL": at(telcelltest.Host, "/proto_test2/invoices"),
		"TELCELL_PAGE_URL": at(telcelltest.Host, "/payments/invoice/"),
		"STRIPE_URL":       at(stripetest.Host, ""),
		"FASTSHIFT_URL":    at(fastshifttest.Host, "/api/en/"),
	}
}

// serveBank answers for an acquirer; false when the host is none. Beside its own control API there is
// POST /_control/hook {"url"}: the acquirer's staff enters our notice address.
func (s *Standins) serveBank(w http.ResponseWriter, r *http.Request) bool {
	name := Name(r.Host)
	for _, b := range s.banks {
		for _, host := range b.server.Hosts() {
			if host != name {
				continue
			}
			if b.call != nil && r.Method == http.MethodPost && r.URL.Path == "/_control/hook" {
				var in struct {
					URL string `json:"url"`
				}
				if standintest.Decode(w, r, &in) {
					b.call(in.URL)
					standintest.Answer(w, http.StatusOK, in)
				}
				return true
			}
			b.server.ServeHTTP(w, r)
			return true
		}
	}
	return false
}
