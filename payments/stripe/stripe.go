// Package stripe speaks Stripe Checkout by plain HTTP (Stripe API reference, "Checkout Sessions", "Refunds", "Disputes";
// "Supported currencies"; "Webhooks"). One attempt is one session of mode payment. A notice is an event of a signed
// webhook; what it says is not believed but asked for again.
//
// An account may sell elsewhere too. What belongs to Dealpay carries its metadata (attempt, order); an event about
// anything else is acknowledged and names nothing.
package stripe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

// Key names this acquirer in the database, in paths and in settings.
const Key = "stripe"

// Config says where Stripe is and holds what is not confirmed. The zero value means the defaults.
type Config struct {
	BaseURL   string        // documented: "https://api.stripe.com"; the key decides between test and live
	Version   string        // of the API, pinned so that an account's default changes nothing; "2024-12-18.acacia"
	PageHosts []string      // hosts, with those under them, that a checkout may lie on: "checkout.stripe.com", or a merchant's own domain too
	Tolerance time.Duration // of a signature's age, into the past and into the future; 300 s as in Stripe's libraries
	// Exponents are the decimals of an amount by currency where they are not those of state.Exponent. Documented are
	// those of exponents; two for AMD are not confirmed: {"AMD": 0} if 15000 turns out to mean 15,000 dram.
	Exponents  map[string]int
	Currencies []string // all that we know; Stripe refuses what an account cannot take
	// Parameters are sent with every new session. Default: adaptive_pricing[enabled]=false, else Stripe may charge
	// in the customer's currency and every such payment needs a person.
	Parameters map[string]string
	Now        func() time.Time // time.Now
}

const sessionsPath, refundsPath, disputesPath = "/v1/checkout/sessions", "/v1/refunds", "/v1/disputes"

// Provider implements payments.Provider, payments.Refunder and payments.Canceller. It keeps no state.
type Provider struct{ cfg Config }

// New returns the provider.
func New(cfg Config) *Provider {
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, "https://api.stripe.com"), "/")
	cfg.Version = cmp.Or(cfg.Version, "2024-12-18.acacia")
	cfg.Tolerance = cmp.Or(cfg.Tolerance, 300*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PageHosts == nil {
		cfg.PageHosts = []string{"checkout.stripe.com"}
	}
	all := maps.Clone(exponents)
	maps.Copy(all, cfg.Exponents)
	cfg.Exponents = all
	if cfg.Parameters == nil {
		cfg.Parameters = map[string]string{"adaptive_pricing[enabled]": "false"}
	}
	return &Provider{cfg}
}

// Describe says what Stripe can do and asks for the account's key and the webhook's secret.
func (p *Provider) Describe() payments.Description {
	_, host, _ := strings.Cut(p.cfg.BaseURL, "://")
	return payments.Description{
		Name: "Stripe", Currencies: p.cfg.Currencies, Refunds: true, Partial: true, Disputes: true, Notices: true, Hosts: []string{host},
		Credentials: []payments.Credential{
			{Key: "secret_key", Label: "Secret or restricted key (sk_… or rk_…)", Secret: true},
			{Key: "webhook_secret", Label: "Signing secret of the webhook (whsec_…)", Secret: true},
		},
	}
}

// Start opens a session. The attempt id is the Idempotency-Key, so repeating after ErrUnavailable gives the same
// session; should anything but the attempt differ (another return address), the session is looked for among the
// newest, and ErrStarted says that it is not there.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	minor, ok := p.outward(o.Amount)
	if !o.Amount.Valid() || !ok {
		return payments.Checkout{}, fmt.Errorf("%w: stripe: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	var s session
	err := p.call(ctx, c, request{http.MethodPost, sessionsPath, p.creation(o, minor), o.Attempt, payments.ErrUnavailable}, &s)
	if errors.Is(err, errReused) {
		s, err = p.find(ctx, c, o.Attempt)
	}
	if err != nil {
		return payments.Checkout{}, fmt.Errorf("stripe: start: %w", err)
	}
	switch {
	case !strings.HasPrefix(string(s.ID), "cs_"):
		return payments.Checkout{}, fmt.Errorf("%w: stripe: start: the answer names no session", payments.ErrUnavailable)
	case string(s.Attempt) != o.Attempt || s.Total == nil || *s.Total != minor || !strings.EqualFold(string(s.Currency), o.Amount.Currency):
		return payments.Checkout{}, fmt.Errorf("%w: stripe: start: the session is for something else", payments.ErrRefused)
	case s.Status != "open":
		return payments.Checkout{}, fmt.Errorf("%w: stripe: start: the session is %s", payments.ErrStarted, s.Status)
	case !p.trusted(s.URL):
		return payments.Checkout{}, fmt.Errorf("%w: stripe: start: the checkout is on a foreign host", payments.ErrRefused)
	}
	return payments.Checkout{URL: s.URL, ProviderRef: string(s.ID), Deadline: s.deadline()}, nil
}

// creation are the parameters of a session. Nothing in them depends on when or by whom it is asked again, as far as
// that can be had: the language is left to Stripe, which finds the browser's and does not know Armenian anyway.
func (p *Provider) creation(o payments.Order, minor int64) url.Values {
	form := url.Values{
		"mode": {"payment"}, "locale": {"auto"}, "success_url": {o.ReturnURL}, "cancel_url": {o.ReturnURL}, "client_reference_id": {o.Attempt},
		"line_items[0][quantity]":                       {"1"},
		"line_items[0][price_data][currency]":           {strings.ToLower(o.Amount.Currency)},
		"line_items[0][price_data][unit_amount]":        {strconv.FormatInt(minor, 10)},
		"line_items[0][price_data][product_data][name]": {cmp.Or(strings.TrimSpace(o.Description), o.Reference)},
	}
	for _, object := range []string{"metadata", "payment_intent_data[metadata]"} {
		form.Set(object+"[attempt]", o.Attempt)
		form.Set(object+"[order]", o.Reference)
	}
	for name, value := range p.cfg.Parameters {
		form.Set(name, value)
	}
	if at := expiry(o.Deadline, p.cfg.Now()); !at.IsZero() {
		form.Set("expires_at", strconv.FormatInt(at.Unix(), 10))
	}
	return form
}

// expiry is when a session closes, or zero for Stripe's own 24 hours. Stripe takes 30 minutes to 24 hours ahead. A
// link that ends sooner gets half an hour more: a time counted from now would make the same attempt another request.
func expiry(deadline, now time.Time) time.Time {
	const shortest, longest, slack = 30 * time.Minute, 24 * time.Hour, time.Minute
	left := deadline.Sub(now)
	switch {
	case deadline.IsZero() || left > longest-slack || left < slack:
		return time.Time{}
	case left < shortest+slack:
		return deadline.Add(shortest)
	}
	return deadline
}

// trusted says whether a checkout URL is on one of Stripe's hosts, by the scheme of the API.
func (p *Provider) trusted(checkout string) bool {
	page, err := url.Parse(checkout)
	api, apiErr := url.Parse(p.cfg.BaseURL)
	if err != nil || apiErr != nil || page.User != nil || page.Scheme != api.Scheme {
		return false
	}
	under := func(host string) bool { return page.Host == host || strings.HasSuffix(page.Host, "."+host) }
	return page.Host == api.Host || slices.ContainsFunc(p.cfg.PageHosts, under)
}

// CancelCheckout expires an open session. ErrRefused when it is not open any more: it may have been paid.
func (p *Provider) CancelCheckout(ctx context.Context, c payments.Connection, o payments.Order) error {
	if !wire.Plain(o.ProviderRef) {
		return fmt.Errorf("%w: stripe: no session was opened", payments.ErrRefused)
	}
	var s session
	err := p.call(ctx, c, request{method: http.MethodPost, path: sessionsPath + "/" + url.PathEscape(o.ProviderRef) + "/expire",
		lost: payments.ErrUnavailable}, &s)
	if err == nil && s.Status != "expired" {
		err = fmt.Errorf("%w: the session is %s", payments.ErrUnavailable, s.Status)
	}
	if err != nil {
		return fmt.Errorf("stripe: cancel: %w", err)
	}
	return nil
}

// Check reads one of each object that is needed later, since a restricted key may lack one of them.
func (p *Provider) Check(ctx context.Context, c payments.Connection) error {
	if !strings.HasPrefix(c.Credentials["webhook_secret"], "whsec_") {
		return fmt.Errorf("%w: stripe: the signing secret of a webhook begins with whsec_", payments.ErrCredentials)
	}
	for _, path := range []string{sessionsPath, refundsPath, disputesPath} {
		var page struct{}
		err := p.call(ctx, c, request{http.MethodGet, path, url.Values{"limit": {"1"}}, "", payments.ErrUnavailable}, &page)
		if err != nil && !errors.Is(err, payments.ErrCredentials) {
			err = fmt.Errorf("%w: %w", payments.ErrUnavailable, err)
		}
		if err != nil {
			return fmt.Errorf("stripe: check: %w", err)
		}
	}
	return nil
}

// Refund gives money of the session's payment back; id is the Idempotency-Key. A refund that is pending, and any
// unclear answer, is ErrUnknown: it can still fail.
func (p *Provider) Refund(ctx context.Context, c payments.Connection, o payments.Order, id string, amount payments.Money) error {
	minor, ok := p.outward(amount)
	if !amount.Valid() || !ok {
		return fmt.Errorf("%w: stripe: %s cannot be refunded", payments.ErrRefused, amount)
	}
	s, err := p.session(ctx, c, o.ProviderRef)
	if errors.Is(err, payments.ErrNothingNew) {
		err = payments.ErrRefused
	}
	if err != nil {
		return fmt.Errorf("stripe: refund: find the payment: %w", err)
	}
	if _, currency, _ := s.taken(); s.Intent.id() == "" || currency != amount.Currency {
		return fmt.Errorf("%w: stripe: refund: no payment in %s", payments.ErrRefused, amount.Currency)
	}
	var r refund
	err = p.call(ctx, c, request{http.MethodPost, refundsPath, url.Values{"payment_intent": {string(s.Intent.id())},
		"amount": {strconv.FormatInt(minor, 10)}, "metadata[attempt]": {o.Attempt}, "metadata[order]": {o.Reference}, "metadata[refund]": {id}},
		id, payments.ErrUnknown}, &r)
	switch {
	case errors.Is(err, errReused):
		err = fmt.Errorf("%w: the key stands for another refund", payments.ErrUnknown)
	case err == nil && (r.Status == "failed" || r.Status == "canceled"):
		err = fmt.Errorf("%w: %s", payments.ErrRefused, r.Status)
	case err == nil && r.Status != "succeeded":
		err = fmt.Errorf("%w: %s", payments.ErrUnknown, r.Status)
	}
	if err != nil {
		return fmt.Errorf("stripe: refund: %w", err)
	}
	return nil
}
