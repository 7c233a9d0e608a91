// Package demo composes the stand-ins, and on them a whole Dealpay with seeded tenants, for people and for checks.
package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/dealpay/dealpay/widgets/archive"
)

// Credentials of the demo's apps and merchant. They open nothing but stand-ins.
const (
	Bitrix24ID     = "app.000000000000a1.10000001"
	Bitrix24Secret = "demo-bitrix24-client-secret"
	AmoCRMID       = "00000000-0000-4000-8000-0000000000a1"
	KommoID        = "00000000-0000-4000-8000-0000000000b1"
	AmoSecret      = "demo-amo-client-secret-demo-amo-client-secret-demo-amo-client-s"
	VposToken      = "demo-vpos-token"
	VposSecret     = "demo-vpos-webhook-secret"
)

// Keyset seals what the demo keeps. It is always the same one, so that a database that is given can be used again.
const Keyset = "eyJwcmltYXJ5S2V5SWQiOjM0NzUwOTc2NDYsICJrZXkiOlt7ImtleURhdGEiOnsidHlwZVVybCI6InR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLmNyeXB0by50aW5rLkFlc0djbUtleSIsICJ2YWx1ZSI6IkdpQit1V2Y5YmkwcWRXeHkwQmJ0WXVudG5KOHZURW9nTFI0M0h5VzZRRmZYNEE9PSIsICJrZXlNYXRlcmlhbFR5cGUiOiJTWU1NRVRSSUMifSwgInN0YXR1cyI6IkVOQUJMRUQiLCAia2V5SWQiOjM0NzUwOTc2NDYsICJvdXRwdXRQcmVmaXhUeXBlIjoiVElOSyJ9XX0="

// Names of the seeded accounts, as the control API and the ready file know them.
const (
	Portal    = "acme.bitrix24.com"
	AmoHost   = "acme.amocrm.ru"
	KommoHost = "acme.kommo.com"
	Acquirer  = "vpos_am"
)

// Standins are all stand-ins behind one handler, routed by the Host header. A path that begins with /~host/ reaches the
// same host, for clients that cannot name it.
type Standins struct {
	bitrix24 *bitrix24test.Server
	amocrm   *amotest.Server
	kommo    *amotest.Server
	banks    []bank
}

// Option changes the stand-ins.
type Option func(*options)

type options struct{ deals int }

// Deals gives every CRM account n deals instead of 20.
func Deals(n int) Option { return func(o *options) { o.deals = n } }

// NewStandins makes the stand-ins for an app at appURL. suffix stands after every host name that they hand out, such as
// ".localhost:8090"; client delivers their events and notices.
func NewStandins(appURL, suffix, version string, client *http.Client, change ...Option) *Standins {
	o := options{deals: 20}
	for _, do := range change {
		do(&o)
	}
	product := func(p archive.Product) func() ([]byte, error) {
		return func() ([]byte, error) { return archive.Build(p, appURL, version) }
	}
	s := &Standins{
		bitrix24: bitrix24test.New(bitrix24test.Config{ClientID: Bitrix24ID, ClientSecret: Bitrix24Secret, AppCode: "dealpay.demo",
			AppURL: appURL, PublicSuffix: suffix, HTTP: client, Portals: []string{Portal}}),
		amocrm: amotest.New(amotest.Config{Variant: amotest.AmoCRM, ClientID: AmoCRMID, ClientSecret: AmoSecret, AppURL: appURL,
			Archive: product(archive.AmoCRM), HTTP: client, PublicSuffix: suffix, Leads: o.deals}),
		kommo: amotest.New(amotest.Config{Variant: amotest.Kommo, ClientID: KommoID, ClientSecret: AmoSecret, AppURL: appURL,
			Archive: product(archive.Kommo), HTTP: client, PublicSuffix: suffix, Leads: o.deals}),
		banks: banks(suffix, client),
	}
	for range o.deals - 20 {
		_, _ = s.bitrix24.Portal(Portal).Add(map[string]any{"TITLE": "One of many"})
	}
	return s
}

// Close ends what the stand-ins deliver in the background.
func (s *Standins) Close() {
	s.bitrix24.Close()
	s.amocrm.Close()
	s.kommo.Close()
	for _, b := range s.banks {
		b.server.Close()
	}
}

// ServeHTTP routes by host.
func (s *Standins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/~"); ok {
		host, path, _ := strings.Cut(rest, "/")
		r = r.Clone(r.Context())
		r.Host, r.URL.Path, r.URL.RawPath = host, "/"+path, ""
	}
	if r.URL.Path == "/_control/credentials" {
		name := Name(r.Host)
		for key, host := range bankHosts {
			if host == name {
				name = key
			}
		}
		standintest.Answer(w, http.StatusOK, s.Credentials()[name])
		return
	}
	if s.serveBank(w, r) {
		return
	}
	switch name := Name(r.Host); {
	case strings.HasSuffix(name, ".bitrix24.com"), strings.HasPrefix(name, "oauth.bitrix"):
		s.bitrix24.ServeHTTP(w, r)
	case strings.HasSuffix(name, ".amocrm.ru"):
		s.amocrm.ServeHTTP(w, r)
	case strings.HasSuffix(name, ".kommo.com"):
		s.kommo.ServeHTTP(w, r)
	default:
		http.Error(w, "no stand-in answers to "+name, http.StatusMisdirectedRequest)
	}
}

// Name is a host without its port and without the .localhost that makes it mean loopback.
func Name(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".localhost")
}

// Credentials are what a client of the stand-ins needs, by host.
func (s *Standins) Credentials() map[string]any {
	all := map[string]any{
		Portal:    s.bitrix24.Portal(Portal).Credentials(),
		AmoHost:   s.amocrm.Account("acme").Credentials(),
		KommoHost: s.kommo.Account("acme").Credentials(),
	}
	for _, b := range s.banks {
		all[b.key] = b.credentials
	}
	return all
}

// Controls are the addresses of the control APIs at base, by host; they need no name to be resolved.
func Controls(base string) map[string]string {
	at := func(host string) string { return fmt.Sprintf("%s/~%s/_control", base, host) }
	all := map[string]string{Portal: at(Portal), AmoHost: at(AmoHost), KommoHost: at(KommoHost)}
	for key, host := range bankHosts {
		all[key] = at(host)
	}
	return all
}

// LoopbackClient reaches names under localhost without asking a resolver.
func LoopbackClient(timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
				address = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, address)
		}}
	return &http.Client{Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
