// Package arca speaks the gateway family of ArCa iPay, EPG and Inecobank (ArCa "iPay Merchant API Manual" 1.55.1.0;
// one adapter, a gateway per tenant). An order cannot be registered twice and has no idempotency key; what became of it
// is asked for. errorCode tells of the call, orderStatus of the order, actionCode of the last card that was tried.
//
// Callbacks are not in the manual: the product family has them (BPC/RBS "Callback notifications"), so a bank may switch
// them on. They only remind.
package arca

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

// Key names this acquirer in the database, in paths and in settings.
const Key = "arca"

// Config holds the gateways and what the manual does not confirm. The zero value means the defaults.
type Config struct {
	// Gateways are the base URLs by the name that a tenant chooses from; a tenant cannot name another. Older texts have
	// port 8443 for the test gateway of iPay.
	Gateways map[string]string
	// NoReversals sends even a whole refund on the day of the payment as a refund.
	NoReversals bool
	Currencies  []string         // AMD; the gateways' documents name RUB, USD and EUR too, none was seen working
	Now         func() time.Time // time.Now
}

// Gateways are the documented ones. Inecobank has one host; the login decides whether money is real.
func Gateways() map[string]string {
	return map[string]string{
		"ipay": "https://ipay.arca.am/payment/rest/", "ipay-test": "https://ipaytest.arca.am:8445/payment/rest/",
		"epg": "https://epg.arca.am/payment/rest/", "epg-test": "https://testepg.arca.am/payment/rest/",
		"inecobank": "https://pg.inecoecom.am/payment/rest/",
	}
}

const (
	session     = 1200 * time.Second // the longest life of the gateway's page
	description = 99                 // letters that travel on to processing
)

// Provider implements payments.Provider and payments.Refunder. It keeps no state.
type Provider struct{ cfg Config }

// New returns the provider.
func New(cfg Config) *Provider {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Gateways == nil {
		cfg.Gateways = Gateways()
	}
	if cfg.Currencies == nil {
		cfg.Currencies = []string{"AMD"}
	}
	return &Provider{cfg}
}

// Describe says what the gateways can do and asks for what the bank gives its merchants.
func (p *Provider) Describe() payments.Description {
	names, hosts := []string{}, []string{}
	for name, base := range p.cfg.Gateways {
		names = append(names, name)
		if u, err := url.Parse(base); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	slices.Sort(names)
	slices.Sort(hosts)
	return payments.Description{
		Name: "ArCa", Currencies: p.cfg.Currencies, Refunds: true, Partial: true, Notices: true, Hosts: slices.Compact(hosts),
		Credentials: []payments.Credential{
			{Key: "gateway", Label: "Gateway (" + strings.Join(names, ", ") + ")"},
			{Key: "username", Label: "API login (often ends with _api)"},
			{Key: "password", Label: "Password", Secret: true},
			{Key: "terminal_id", Label: "Terminal id (compared with each payment)", Optional: true},
			{Key: "callback_key", Label: "Callback key, if the bank signs callbacks", Secret: true, Optional: true},
		},
	}
}

// base is the tenant's gateway. An unknown name is ErrCredentials.
func (p *Provider) base(c payments.Connection) (string, error) {
	base, known := p.cfg.Gateways[c.Credentials["gateway"]]
	if !known {
		return "", fmt.Errorf("%w: arca: no such gateway", payments.ErrCredentials)
	}
	return base, nil
}

// Start registers the order. The gateway takes an order number once: when the answer to an earlier try was lost the
// page cannot be found again, and that is ErrStarted.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	currency, known := wire.Number(o.Amount.Currency)
	if !o.Amount.Valid() || !known || !wire.Plain(o.Reference) || len(o.Reference) > 32 {
		return payments.Checkout{}, fmt.Errorf("%w: arca: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	now := p.cfg.Now()
	life := wire.Life(o, now, session)
	reply, err := p.call(ctx, c, "register.do", url.Values{
		"orderNumber": {o.Reference}, "amount": {strconv.FormatInt(o.Amount.Minor, 10)}, "currency": {currency}, // 643 when left out
		"returnUrl": {o.ReturnURL}, "description": {harmless(o.Description)}, "language": {language(o.Language)},
		"sessionTimeoutSecs": {strconv.FormatInt(int64(life/time.Second), 10)}}, payments.ErrUnavailable)
	if err != nil {
		return payments.Checkout{}, fmt.Errorf("arca: start: %w", err)
	}
	code, id, page := reply.code(), reply.Text("orderId"), reply.String("formUrl")
	switch {
	case code == success && wire.Plain(id) && p.trusted(c, page):
		return payments.Checkout{URL: page, ProviderRef: id, Deadline: now.Add(life)}, nil
	case code == success && id != "" && page != "":
		err = fmt.Errorf("%w: the page is on a foreign host", payments.ErrRefused)
	case code == "1":
		err = payments.ErrStarted
	case code == "5": // a value that it does not like, or a login
		if err = p.Check(ctx, c); err == nil {
			err = payments.ErrRefused
		}
	case code == success || code == "7":
		err = payments.ErrUnavailable
	default:
		err = payments.ErrRefused
	}
	return payments.Checkout{}, fmt.Errorf("%w: arca: start: code %s", err, code)
}

// trusted says whether a page is on the tenant's gateway; its port may be another.
func (p *Provider) trusted(c payments.Connection, page string) bool {
	gateway, err := url.Parse(p.cfg.Gateways[c.Credentials["gateway"]])
	u, err2 := url.Parse(page)
	return err == nil && err2 == nil && u.Scheme == gateway.Scheme && u.User == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), gateway.Hostname())
}

// harmless is a description without what processing trips over, cut to what travels on.
func harmless(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune("%+\r\n", r) {
			return ' '
		}
		return r
	}, s)
	if letters := []rune(s); len(letters) > description {
		return string(letters[:description])
	}
	return s
}

func language(lang string) string {
	if lang == "hy" || lang == "ru" {
		return lang
	}
	return "en"
}

// nobody is an order id that no gateway gives out.
const nobody = "00000000-0000-0000-0000-000000000000"

// Check asks for an order that does not exist: that it is unknown is an answer that only a good login gets. EPG answers
// as to a bad login until the password was changed once in its portal.
func (p *Provider) Check(ctx context.Context, c payments.Connection) error {
	_, err := p.ask(ctx, c, nobody, "")
	if errors.Is(err, payments.ErrNothingNew) {
		return nil
	}
	return err
}

// code is the errorCode of an answer; absent is success.
func (a answer) code() string { return cmp.Or(a.Code("errorCode"), success) }
